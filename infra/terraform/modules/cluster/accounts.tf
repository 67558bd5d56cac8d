# Accounts of the nodes. Firewall rules name them, so each pool has one of its own.

locals {
  # Why: what a node needs for logs and metrics, and nothing that a pod could use. The default account is an editor.
  node_roles = ["roles/container.defaultNodeServiceAccount"]
}

resource "google_service_account" "nodes" {
  for_each = toset(["applications", "gateways"])

  project      = var.project_id
  account_id   = "${var.name}-${each.value}"
  display_name = "Nodes of ${var.name}: ${each.value}"
}

resource "google_project_iam_member" "nodes" {
  for_each = {
    for pair in setproduct(keys(google_service_account.nodes), local.node_roles) : join(" ", pair) => { account = pair[0], role = pair[1] }
  }

  project = var.project_id
  role    = each.value.role
  member  = "serviceAccount:${google_service_account.nodes[each.value.account].email}"
}

resource "google_artifact_registry_repository_iam_member" "nodes" {
  for_each = {
    for pair in setproduct(keys(google_service_account.nodes), keys(var.image_repositories)) : join(" ", pair) => { account = pair[0], name = pair[1] }
  }

  project    = var.image_repositories[each.value.name].project
  location   = var.image_repositories[each.value.name].location
  repository = var.image_repositories[each.value.name].repository
  # Why: on the repository. On the project it would read every other repository too.
  role   = "roles/artifactregistry.reader"
  member = "serviceAccount:${google_service_account.nodes[each.value.account].email}"
}
