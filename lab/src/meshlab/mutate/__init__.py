"""Mutants of a mesh: each condition of its objects removed or widened, and what cases make of it."""
