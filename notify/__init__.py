"""What leaves Vigie towards people: the outbox, its transports, and the words of the messages (fr, en)."""
