"""Properties here are held against naive answers, which may be slow, on clones that may be read-only."""

from hypothesis import settings

settings.register_profile("vigie", deadline=None, database=None, print_blob=True)
settings.load_profile("vigie")
