"""Policy tests of a generated mesh: how long verdicts take."""
