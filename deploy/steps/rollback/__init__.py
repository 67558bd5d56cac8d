"""Roll-back: the traffic of a function to an earlier revision."""
