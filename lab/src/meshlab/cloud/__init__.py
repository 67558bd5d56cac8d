"""Stand-ins for Google's services, each behind its official client."""
