"""Policy tests: requests sent through real proxies, each with an expected outcome."""
