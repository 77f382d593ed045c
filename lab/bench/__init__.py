"""``make bench``: what Vigie costs and how much it bears, beside the other ways to put a call through Asterisk.

Each `Way` gets the same load, from the same SIPp, in the same run; it differs in what happens between the caller's
INVITE and the telephone's. `Bench` is the system under load, `measure` puts one way through everything that is
measured, `report` and `plot` show what came out.
"""
