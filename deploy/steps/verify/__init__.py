"""Verification of a deployment: what runs in the cloud beside what the contract says."""
