"""The fallback: what serves calls when no worker does, from the snapshot of the routing table.

Needs neither the database nor ARI while somebody is on the telephone: what happens is journalled to disk, and reaches
the database when that is back. Must not know the workers.
"""
