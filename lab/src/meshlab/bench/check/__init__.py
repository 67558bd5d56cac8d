"""Manifests read without starting anything: what is refused, what is noted, what is passed over."""
