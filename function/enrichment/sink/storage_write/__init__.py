"""Rows by BigQuery's Storage Write API. Nothing here is imported unless the setting BIGQUERY_WRITER asks for it."""
