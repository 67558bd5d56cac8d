"""The demo: events through the whole system, and the proof that each ended in one place."""
