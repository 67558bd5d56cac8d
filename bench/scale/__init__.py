"""Runs that are too long for the tests: what they share is the memory of processes over time, and its slope."""
