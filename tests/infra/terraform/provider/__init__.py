"""A provider for Terraform that knows a schema and nothing else, so that files are checked without a cloud."""
