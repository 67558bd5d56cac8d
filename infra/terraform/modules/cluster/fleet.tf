# Managed Cloud Service Mesh. Where istiod runs in the cluster, none of it is made.

resource "google_gke_hub_feature" "mesh" {
  count = var.managed_mesh ? 1 : 0

  project  = var.fleet_project_id
  name     = "servicemesh"
  location = "global"
}

resource "google_gke_hub_feature_membership" "mesh" {
  count = var.managed_mesh ? 1 : 0

  project             = var.fleet_project_id
  location            = "global"
  feature             = google_gke_hub_feature.mesh[0].name
  membership          = google_container_cluster.this.fleet[0].membership_id
  membership_location = google_container_cluster.this.fleet[0].membership_location

  mesh {
    management = "MANAGEMENT_AUTOMATIC"
  }
}
