"""Child processes of one run: the supervisor, the reaper, real Envoy, free ports."""
