"""The mesh on one laptop, with real Envoy and stand-ins for Google's services."""
