# A private, regional cluster without a node pool of its own. accounts.tf has who the nodes are, nodes.tf the pools, fleet.tf the
# fleet and the managed mesh.

resource "google_container_cluster" "this" {
  project  = var.project_id
  name     = var.name
  location = var.region

  # Why: a plan that would replace the cluster, and all that runs in it, fails until this is turned off by hand.
  deletion_protection = var.deletion_protection

  # Why: pools of their own, because the default pool runs as the project's default account with all scopes.
  remove_default_node_pool = true
  initial_node_count       = 1
  node_locations           = length(var.zones) == 0 ? null : var.zones

  # Why: the bill and an inventory tell this cluster from others.
  resource_labels = { app = "meshpass" }

  networking_mode = "VPC_NATIVE"
  network         = var.network
  subnetwork      = var.node_subnet

  ip_allocation_policy {
    cluster_secondary_range_name  = var.pod_range_name
    services_secondary_range_name = var.service_range_name
    stack_type                    = "IPV4"
  }

  # Why: Dataplane V2 enforces NetworkPolicies. Without it a policy is a file that nothing reads.
  datapath_provider = "ADVANCED_DATAPATH"

  # Why: what one pod sends to another on the same node is in the flow logs as well.
  enable_intranode_visibility = true

  # Why: with subsetting the internal load balancer has the nodes with gateway pods as its backends, in a cluster of any size.
  enable_l4_ilb_subsetting = true

  # Why: pods leave with their node's address, the only one that NAT translates. Inside of private ranges they keep their own.
  default_snat_status {
    disabled = false
  }

  private_cluster_config {
    # Why: no node and no control plane has a public address.
    enable_private_nodes        = true
    enable_private_endpoint     = true
    private_endpoint_subnetwork = var.control_plane_subnet
  }

  control_plane_endpoints_config {
    dns_endpoint_config {
      # Why: administrators come by a DNS name that asks IAM. No range has to be kept on a list, and no bastion is needed.
      allow_external_traffic = true
      # Why: IAM alone. Tokens and certificates of Kubernetes would be accepted from anywhere.
      enable_k8s_tokens_via_dns = false
      enable_k8s_certs_via_dns  = false
    }

    ip_endpoints_config {
      # Nodes and istiod use the private address.
      enabled = true
    }
  }

  # Why: an empty list. Only nodes and pods of the cluster reach the private endpoint.
  master_authorized_networks_config {
    gcp_public_cidrs_access_enabled      = false
    private_endpoint_enforcement_enabled = true
  }

  # Why: a client certificate cannot be revoked, so none is issued.
  master_auth {
    client_certificate_config {
      issue_client_certificate = false
    }
  }

  # Why: rights come from RBAC alone. The old authorization gave every service account all of them.
  enable_legacy_abac = false

  # Why: without an account only health checks are answered.
  anonymous_authentication_config {
    mode = "LIMITED"
  }

  # Why: a binding for system:authenticated is one for every Google account there is.
  rbac_binding_config {
    enable_insecure_binding_system_authenticated   = false
    enable_insecure_binding_system_unauthenticated = false
  }

  dynamic "authenticator_groups_config" {
    for_each = var.security_group[*]

    content {
      security_group = authenticator_groups_config.value
    }
  }

  # Why: a pod gets tokens of its own account, not those of its node.
  workload_identity_config {
    workload_pool = "${var.project_id}.svc.id.goog"
  }

  enable_shielded_nodes = true

  # The first pool, which exists for some minutes while the cluster is made.
  node_config {
    # Why: the firewall names the nodes' accounts. As the default account these nodes would never reach the control plane, and
    # the cluster would not be made.
    service_account = google_service_account.nodes["applications"].email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]

    workload_metadata_config {
      mode = "GKE_METADATA"
    }

    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }
  }

  # Why: the project's policy decides which images run. `trusted_images` writes it; without them it is as the project has it,
  # which at first admits all images.
  binary_authorization {
    evaluation_mode = "PROJECT_SINGLETON_POLICY_ENFORCE"
  }

  dynamic "database_encryption" {
    for_each = var.secrets_key[*]

    content {
      # Why: who reads etcd or its backup reads no Secret without the right to use the key.
      state    = "ENCRYPTED"
      key_name = database_encryption.value
    }
  }

  release_channel {
    channel = var.release_channel
  }

  maintenance_policy {
    recurring_window {
      start_time = var.maintenance.start
      end_time   = var.maintenance.end
      recurrence = var.maintenance.recurrence
    }
  }

  addons_config {
    dns_cache_config {
      # NetworkPolicies name the node-local resolver: `dns.mode` of infra/mesh/environments.
      enabled = true
    }

    http_load_balancing {
      # Why: on, because the internal load balancer of the gateway is one of its resources.
      disabled = false
    }
  }

  # Why: a Service with an external address of its own choice would take over traffic to that address.
  service_external_ips_config {
    enabled = false
  }

  # Why: the API server's log as well. It says who tried what, and a workload cannot change it.
  logging_config {
    enable_components = ["SYSTEM_COMPONENTS", "WORKLOADS", "APISERVER"]
  }

  monitoring_config {
    enable_components = ["SYSTEM_COMPONENTS", "APISERVER", "SCHEDULER", "CONTROLLER_MANAGER"]

    managed_prometheus {
      enabled = true
    }
  }

  security_posture_config {
    # Why: misconfigured workloads show up without another tool.
    mode = "BASIC"
    # GKE no longer scans images, and its API calls the other modes unsupported. Artifact Registry scans them.
    vulnerability_mode = "VULNERABILITY_DISABLED"
  }

  node_pool_defaults {
    node_config_defaults {
      # Why: the port shows every pod's specification to all that reach the node, without a token.
      insecure_kubelet_readonly_port_enabled = "FALSE"
    }
  }

  dynamic "fleet" {
    for_each = var.fleet_project_id[*]

    content {
      project = fleet.value
    }
  }

  lifecycle {
    # The pools own their nodes; GKE reports the first pool's settings here.
    ignore_changes = [node_config, initial_node_count]
  }

  depends_on = [google_kms_crypto_key_iam_member.secrets, google_project_iam_member.nodes]
}

resource "google_kms_crypto_key_iam_member" "secrets" {
  count = var.secrets_key == null ? 0 : 1

  crypto_key_id = var.secrets_key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:service-${var.project_number}@container-engine-robot.iam.gserviceaccount.com"
}

# Why: the cluster enforces a policy; this one trusts the named repositories and refuses the rest.
resource "google_binary_authorization_policy" "this" {
  count = length(var.trusted_images) == 0 ? 0 : 1

  project     = var.project_id
  description = "Images of the named repositories, and those that Google needs for GKE."
  # Google's own list of images for GKE's system pods.
  global_policy_evaluation_mode = "ENABLE"

  dynamic "admission_whitelist_patterns" {
    for_each = var.trusted_images

    content {
      name_pattern = admission_whitelist_patterns.value
    }
  }

  default_admission_rule {
    evaluation_mode  = "ALWAYS_DENY"
    enforcement_mode = "ENFORCED_BLOCK_AND_AUDIT_LOG"
  }
}
