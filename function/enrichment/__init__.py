"""Events in, enriched rows out."""
