"""Google ID tokens: finding the identity of this process, and getting tokens for it."""
