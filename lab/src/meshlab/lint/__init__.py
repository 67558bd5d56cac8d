"""Rules on mistakes that Istio accepts in silence: found in manifests alone, nothing is started."""
