"""Slow and simple evaluators of what Istio's documentation says, to compare the compiler's answers with."""
