"""Backfills: files, tables and subscriptions through the enrichment, in shards that are finished once."""
