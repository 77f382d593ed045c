"""PostgreSQL: models, migrations, the journal of calls, and what the rest of Vigie reads and writes there.

Knows the rules of ``oncall``; must not know Asterisk, e-mail or the command line.
"""
