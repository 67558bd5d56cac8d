"""``make check``: lint, types and the tests of what changed, in under a minute on a typical change."""
