"""Verdicts: from the answer and the evidence to who answered, and whether a case's expectation is met."""
