"""The demo: events through the whole system, and proof of what became of each of them."""
