locals {
  pools = {
    applications = merge(var.application_nodes, { labels = {}, taints = [], tags = [] })
    gateways = merge(var.gateway_nodes, {
      # Why: a label of our own. GKE writes the labels of a pool as a flag of the kubelet, which refuses those of kubernetes.io
      # (node-restriction.kubernetes.io among them) and does not start. infra/mesh/access/nodes keeps a node that is taken over
      # from giving itself this one. infra/mesh/egress/gateway asks for the label and tolerates the taint.
      labels = { "meshpass.example/egress-gateway" = "true" }
      taints = [{ key = "meshpass.example/egress-gateway", value = "true", effect = "NO_SCHEDULE" }]
      tags   = [var.internet_tag]
    })
  }
}

resource "google_container_node_pool" "this" {
  for_each = local.pools

  project  = var.project_id
  location = var.region
  cluster  = google_container_cluster.this.name
  name     = each.key

  initial_node_count = each.value.min_per_zone

  autoscaling {
    min_node_count = each.value.min_per_zone
    max_node_count = each.value.max_per_zone
  }

  management {
    auto_repair  = true
    auto_upgrade = true
  }

  upgrade_settings {
    # Why: a new node before an old one goes. With one gateway node in a zone, its replacement runs before it is drained.
    strategy        = "SURGE"
    max_surge       = 1
    max_unavailable = 0
  }

  network_config {
    enable_private_nodes = true
  }

  node_config {
    machine_type = each.value.machine_type
    disk_size_gb = each.value.disk_size_gb
    # Why: a small image without a shell for users, with a read-only root and verified boot.
    image_type = "COS_CONTAINERD"

    service_account = google_service_account.nodes[each.key].email
    # Why: the account's roles decide. Scopes are an older control that cannot be kept small enough.
    oauth_scopes = ["https://www.googleapis.com/auth/cloud-platform"]

    labels = each.value.labels
    tags   = each.value.tags

    dynamic "taint" {
      for_each = each.value.taints

      content {
        key    = taint.value.key
        value  = taint.value.value
        effect = taint.value.effect
      }
    }

    # Why: pods see the metadata server of Workload Identity, and never the token or the bootstrap data of their node.
    workload_metadata_config {
      mode = "GKE_METADATA"
    }

    metadata = {
      # Why: the old endpoints gave tokens without the header that forged requests cannot set.
      disable-legacy-endpoints = "true"
      # Why: a key in the project's metadata is not a way onto a node.
      block-project-ssh-keys = "true"
    }

    shielded_instance_config {
      # Why: a changed boot loader or kernel does not start, and one that changed is reported.
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }

    kubelet_config {
      insecure_kubelet_readonly_port_enabled = "FALSE"
      # Why: a fork bomb in one pod must not take the node.
      pod_pids_limit = 4096
    }
  }

  lifecycle {
    ignore_changes = [initial_node_count]
  }

  # A node that starts before its account has its roles does not become ready.
  depends_on = [google_project_iam_member.nodes, google_artifact_registry_repository_iam_member.nodes]
}
