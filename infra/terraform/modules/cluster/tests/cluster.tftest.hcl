# Runs with a mocked provider: `terraform -chdir=infra/terraform/modules/cluster test` needs no project and no credentials.

mock_provider "google" {}

variables {
  project_id           = "example-project"
  region               = "europe-west1"
  name                 = "meshpass"
  network              = "network"
  node_subnet          = "nodes"
  control_plane_subnet = "control-plane"
  internet_tag         = "meshpass-internet"
}

run "shipped" {
  command = plan
}

run "default" {
  command = apply

  assert {
    condition     = google_container_cluster.this.private_cluster_config[0].enable_private_nodes && google_container_cluster.this.private_cluster_config[0].enable_private_endpoint
    error_message = "Neither nodes nor control plane may have a public address."
  }

  assert {
    condition     = google_container_node_pool.this["gateways"].node_config[0].tags == tolist(["meshpass-internet"]) && length(google_container_node_pool.this["applications"].node_config[0].tags) == 0
    error_message = "Only the egress gateway's nodes may have the tag with a route to the internet."
  }

  assert {
    condition     = google_container_node_pool.this["gateways"].node_config[0].service_account != google_container_node_pool.this["applications"].node_config[0].service_account
    error_message = "Each pool must have an account of its own."
  }

  assert {
    condition     = length(google_gke_hub_feature.mesh) == 0 && length(google_binary_authorization_policy.this) == 0
    error_message = "Fleet features and the project's policy are made only where they are asked for."
  }
}

run "everything" {
  command = plan

  variables {
    fleet_project_id   = "example-project"
    managed_mesh       = true
    project_number     = "100000000000"
    secrets_key        = "projects/example-project/locations/europe-west1/keyRings/meshpass/cryptoKeys/secrets"
    security_group     = "gke-security-groups@example.com"
    trusted_images     = ["europe-west1-docker.pkg.dev/example-project/meshpass/*"]
    image_repositories = { own = { project = "example-project", location = "europe-west1", repository = "meshpass" } }
    zones              = ["europe-west1-b", "europe-west1-c"]
  }

  assert {
    condition     = google_kms_crypto_key_iam_member.secrets[0].member == "serviceAccount:service-100000000000@container-engine-robot.iam.gserviceaccount.com"
    error_message = "GKE's agent must be able to use the key."
  }

  assert {
    condition     = length(google_artifact_registry_repository_iam_member.nodes) == 2
    error_message = "Both accounts must pull images."
  }
}

run "wrong_values" {
  command = plan

  variables {
    region          = "europe-west1-b"
    name            = "a-name-that-is-far-too-long"
    release_channel = "UNSPECIFIED"
    maintenance     = { start = "2026-01-03T01:00:00Z", end = "2026-01-03T02:00:00Z" }
    gateway_nodes   = { min_per_zone = 0 }
    zones           = ["europe-west1-b"]
    trusted_images  = ["*"]
    secrets_key     = "secrets"
    security_group  = "everyone@example.com"
    managed_mesh    = true
  }

  expect_failures = [
    var.region, var.name, var.release_channel, var.maintenance, var.gateway_nodes, var.zones, var.trusted_images,
    var.secrets_key, var.security_group, var.managed_mesh,
  ]
}
