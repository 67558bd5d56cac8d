"""Messages that arrive as HTTP requests."""
