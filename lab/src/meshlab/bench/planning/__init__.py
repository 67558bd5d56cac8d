"""From a case to one connection and one request."""
