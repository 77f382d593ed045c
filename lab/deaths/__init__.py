"""How soon calls are carried on whose worker is killed, and whether any is lost."""
