"""What Vigie does by the clock: each duty is "do all that is due now", and may be done twice without harm."""
