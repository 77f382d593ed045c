"""The call engine: what happens to a caller, on Asterisk, through ARI."""
