"""The flex template of ``beam/``: its image and specification, the jobs that are made from it, and their read-back."""
