"""Google's ID tokens: where this process's identity comes from, and how a token is got for it."""
