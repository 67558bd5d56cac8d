"""The package that is deployed: made, checked, and listed as a bill of materials."""
