"""The mesh on one laptop, with real Envoy and fakes for Google's services."""
