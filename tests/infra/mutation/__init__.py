"""Mutants of this project's own meshes: which are asked, and which are proven to change nothing."""
