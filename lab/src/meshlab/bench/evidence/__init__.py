"""Evidence of what the proxies did: access logs of the bench's own in every proxy, and how they are read."""
