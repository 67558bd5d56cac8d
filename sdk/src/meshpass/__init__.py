"""Call services inside an Istio mesh from outside the cluster."""
