"""Certificates of the bridge to AWS Lambda."""
