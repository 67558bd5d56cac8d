# The network and its subnets. Everything that says who may reach what is in firewall.tf, the way to Google's APIs in
# google-apis.tf, the way to the internet in nat.tf.

resource "google_compute_network" "this" {
  project     = var.project_id
  name        = var.name
  description = "The mesh, its callers, and nothing else."

  # Why: automatic subnets take a /20 in every region, wanted or not, and overlap with other networks that may be connected.
  auto_create_subnetworks = false
  routing_mode            = "REGIONAL"

  # Why: the default route would make every machine one firewall rule away from the internet. nat.tf has the one that is needed.
  delete_default_routes_on_create = true

  # Why: GKE and others write classic firewall rules by themselves. After the policy they can only narrow what it allows.
  network_firewall_policy_enforcement_order = "BEFORE_CLASSIC_FIREWALL"

  lifecycle {
    precondition {
      condition     = length(local.overlaps) == 0
      error_message = "Ranges overlap: ${join("; ", local.overlaps)}. Each subnet and secondary range needs addresses of its own."
    }
  }
}

locals {
  ranges = merge(
    {
      node_range          = var.node_range
      pod_range           = var.pod_range
      service_range       = var.service_range
      control_plane_range = var.control_plane_range
    },
    { for one in var.direct_egress[*] : "direct_egress" => one.range },
    { for one in var.connector[*] : "connector" => one.range },
    { for one in var.proxy_range[*] : "proxy_range" => one },
    var.further_ranges,
  )

  names = keys(local.ranges)
  pairs = [
    for pair in setproduct(range(length(local.names)), range(length(local.names))) : [for number in pair : local.names[number]]
    if pair[0] < pair[1]
  ]

  # Two ranges overlap where they are the same range once both have the prefix of the wider one.
  overlaps = [
    for pair in local.pairs : join(" and ", [for name in pair : "${name} ${local.ranges[name]}"])
    if length(distinct([
      for name in pair : cidrsubnet("${cidrhost(local.ranges[name], 0)}/${min([for one in pair : tonumber(split("/", local.ranges[one])[1])]...)}", 0, 0)
    ])) == 1
  ]
}

resource "google_compute_subnetwork" "nodes" {
  project       = var.project_id
  region        = var.region
  name          = "${var.name}-nodes"
  description   = "Nodes of the cluster, and the address of its internal gateway."
  network       = google_compute_network.this.id
  ip_cidr_range = var.node_range
  # Why: an IPv6 address would be a way out that no IPv4 rule sees.
  stack_type = "IPV4_ONLY"
  # Why: nodes have no public address, and pull images and write logs through Google's virtual address.
  private_ip_google_access = true

  secondary_ip_range {
    range_name    = "pods"
    ip_cidr_range = var.pod_range
  }

  secondary_ip_range {
    range_name    = "services"
    ip_cidr_range = var.service_range
  }

  # Why: what was allowed is logged by nothing else; a finding after the fact needs it.
  log_config {
    aggregation_interval = "INTERVAL_5_SEC"
    flow_sampling        = 0.5
    metadata             = "INCLUDE_ALL_METADATA"
  }

  lifecycle {
    precondition {
      condition     = cidrhost("${var.gateway_address}/${split("/", var.node_range)[1]}", 0) == cidrhost(var.node_range, 0)
      error_message = "gateway_address must lie in node_range: the internal load balancer takes its address from the cluster's subnet."
    }

    precondition {
      condition     = !contains([for number in [0, 1, -2, -1] : cidrhost(var.node_range, number)], var.gateway_address)
      error_message = "gateway_address must not be one of the first two or the last two addresses of node_range: Google keeps these in each subnet."
    }
  }
}

resource "google_compute_subnetwork" "control_plane" {
  project                  = var.project_id
  region                   = var.region
  name                     = "${var.name}-control-plane"
  description              = "The private address of the cluster's control plane."
  network                  = google_compute_network.this.id
  ip_cidr_range            = var.control_plane_range
  stack_type               = "IPV4_ONLY"
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_5_SEC"
    flow_sampling        = 0.5
    metadata             = "INCLUDE_ALL_METADATA"
  }
}

resource "google_compute_subnetwork" "functions" {
  count = var.direct_egress == null ? 0 : 1

  project     = var.project_id
  region      = var.region
  name        = var.direct_egress.subnet
  description = "Instances of the function, and workers of the same enrichment. The gateway admits this range alone, so nothing else may lie in it."
  network     = google_compute_network.this.id
  # Why: a range of its own. Firewall, load balancer and NetworkPolicies know the function by it.
  ip_cidr_range = var.direct_egress.range
  stack_type    = "IPV4_ONLY"
  # Why: DNS sends the function's calls of Google's APIs to the virtual address, which counts as a private range.
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_5_SEC"
    flow_sampling        = 0.5
    metadata             = "INCLUDE_ALL_METADATA"
  }
}

resource "google_compute_subnetwork" "connector" {
  count = var.connector == null ? 0 : 1

  project                  = var.project_id
  region                   = var.region
  name                     = var.connector.name
  description              = "Machines of the Serverless VPC Access connector."
  network                  = google_compute_network.this.id
  ip_cidr_range            = var.connector.range
  stack_type               = "IPV4_ONLY"
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_5_SEC"
    flow_sampling        = 0.5
    metadata             = "INCLUDE_ALL_METADATA"
  }
}

resource "google_vpc_access_connector" "this" {
  count = var.connector == null ? 0 : 1

  project       = var.project_id
  region        = var.region
  name          = var.connector.name
  machine_type  = var.connector.machine_type
  min_instances = 2
  # Why: a connector never scales in. A low bound keeps a peak from being paid for ever.
  max_instances = var.connector.max_instances

  subnet {
    project_id = var.project_id
    name       = google_compute_subnetwork.connector[0].name
  }
}

resource "google_compute_subnetwork" "proxies" {
  count = var.proxy_range == null ? 0 : 1

  project       = var.project_id
  region        = var.region
  name          = "${var.name}-proxies"
  description   = "Proxies of internal Application Load Balancers. No machine can lie in it."
  network       = google_compute_network.this.id
  ip_cidr_range = var.proxy_range
  purpose       = "REGIONAL_MANAGED_PROXY"
  role          = "ACTIVE"
}

# Shared VPC: who may use a subnet from another project.

resource "google_compute_subnetwork_iam_member" "functions" {
  for_each = var.function_subnet_users

  project    = var.project_id
  region     = var.region
  subnetwork = concat(google_compute_subnetwork.functions[*].name, google_compute_subnetwork.connector[*].name)[0]
  # Why: on the one subnet. The same role on the host project would be the right to join every subnet.
  role   = "roles/compute.networkUser"
  member = each.value
}

resource "google_compute_subnetwork_iam_member" "nodes" {
  for_each = {
    for pair in setproduct(["control_plane", "nodes"], sort(var.node_subnet_users)) : "${pair[0]} ${pair[1]}" => {
      subnetwork = pair[0] == "nodes" ? google_compute_subnetwork.nodes.name : google_compute_subnetwork.control_plane.name
      member     = pair[1]
    }
  }

  project    = var.project_id
  region     = var.region
  subnetwork = each.value.subnetwork
  role       = "roles/compute.networkUser"
  member     = each.value.member
}

# Why: a query can carry data out in the name that it asks for. Zones and firewall do not see that; the log does.
resource "google_dns_policy" "this" {
  project        = var.project_id
  name           = "${var.name}-queries"
  description    = "Logs every DNS query of the network."
  enable_logging = true
  # Why: off, because nothing outside of the network asks it for names.
  enable_inbound_forwarding = false

  networks {
    network_url = google_compute_network.this.id
  }
}

resource "google_dns_managed_zone" "outbound" {
  count = length(var.outbound_resolvers) == 0 ? 0 : 1

  project     = var.project_id
  name        = "${var.name}-outbound"
  description = "All names without a zone of their own go to resolvers that filter them."
  dns_name    = "."
  visibility  = "private"

  private_visibility_config {
    networks {
      network_url = google_compute_network.this.id
    }
  }

  forwarding_config {
    dynamic "target_name_servers" {
      for_each = var.outbound_resolvers

      content {
        ipv4_address = target_name_servers.value
        # Why: through the network, also where a resolver's private address is none of RFC 1918. Otherwise Cloud DNS would
        # ask over the internet, past the firewall.
        forwarding_path = "private"
      }
    }
  }
}
