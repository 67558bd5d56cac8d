"""Settings of the function: its environment, `pipeline.toml` and the table."""
