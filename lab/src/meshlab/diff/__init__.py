"""Difference between two meshes: which requests end otherwise in the one than in the other."""
