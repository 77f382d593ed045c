"""The world around Vigie, for the demo, the acceptance tests and the benchmarks: a carrier, phones, a mail server.

Nothing in here is part of the product; the product imports none of it.
"""
