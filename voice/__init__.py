"""What callers and people on call hear. Knows nothing of calls, Asterisk's protocols or the database."""
