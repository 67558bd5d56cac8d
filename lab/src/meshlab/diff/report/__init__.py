"""Reports of a comparison: for a terminal, for a pull request's comment, and for programs."""
