"""Removal of a deployment: what is deleted, in which order, and what is kept."""
