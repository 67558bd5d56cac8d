"""The enrichment on Apache Beam: the function's core in a DoFn, as a stream and as a backfill.

`python -m enrichment_beam` has both as commands. `enrichment_beam.enrich` has the transforms for pipelines of your own.
"""
