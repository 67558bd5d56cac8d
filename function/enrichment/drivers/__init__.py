"""What receives messages and requests, and says what became of them: thin, each with its own delivery rules."""
