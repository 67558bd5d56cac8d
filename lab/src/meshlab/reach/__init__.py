"""Who can reach what: a battery of requests on real Envoys, as a matrix for each target."""
