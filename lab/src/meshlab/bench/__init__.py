"""Policy tests: a table of requests, sent to the real proxies, and the fate that each must meet."""
