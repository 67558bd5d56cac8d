"""Reports of a run: for a terminal, as JUnit XML, as JSON."""
