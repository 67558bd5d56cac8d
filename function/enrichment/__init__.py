"""Events in, enriched rows out: decode, look up in the mesh, build the row, write it, or say why not."""

__version__ = "0.1.0"
