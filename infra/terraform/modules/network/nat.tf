# The way to the internet, for the egress gateway's nodes alone: a route by network tag, NAT with reserved addresses, and in
# firewall.tf a rule by service account. All three are needed for a packet to leave.

locals {
  internet_tag = "${var.name}-internet"
}

resource "google_compute_route" "internet" {
  project     = var.project_id
  name        = "${var.name}-internet"
  description = "To the internet, for nodes with the tag alone."
  network     = google_compute_network.this.name
  dest_range  = "0.0.0.0/0"
  # Why: only the egress gateway's pool has this tag. Other machines have no route to the internet at all.
  tags             = [local.internet_tag]
  next_hop_gateway = "default-internet-gateway"
  priority         = 1000
}

resource "google_compute_router" "this" {
  project = var.project_id
  region  = var.region
  name    = "${var.name}-router"
  network = google_compute_network.this.id
}

# Why: reserved, so that what is outside can put them on a list. Automatic addresses change.
resource "google_compute_address" "nat" {
  count = var.nat.addresses

  project      = var.project_id
  region       = var.region
  name         = "${var.name}-nat-${count.index}"
  description  = "Source of what the egress gateway sends to the internet."
  address_type = "EXTERNAL"
  network_tier = "PREMIUM"
}

resource "google_compute_router_nat" "this" {
  project = var.project_id
  region  = var.region
  name    = "${var.name}-nat"
  router  = google_compute_router.this.name

  nat_ip_allocate_option = "MANUAL_ONLY"
  nat_ips                = google_compute_address.nat[*].self_link

  # Why: nodes' own addresses alone. Pods leave with the address of their node, and what does not is not translated.
  source_subnetwork_ip_ranges_to_nat = "LIST_OF_SUBNETWORKS"

  subnetwork {
    name                    = google_compute_subnetwork.nodes.id
    source_ip_ranges_to_nat = ["PRIMARY_IP_RANGE"]
  }

  # Why: 64 ports, the default, are 64 connections to one host from a node that carries those of all teams.
  min_ports_per_vm               = var.nat.min_ports
  max_ports_per_vm               = var.nat.max_ports
  enable_dynamic_port_allocation = true
  # Why: off. It would keep a port for each client endpoint, and dynamic allocation does not work with it.
  enable_endpoint_independent_mapping = false

  # Why: the log joins an address and port that another party reports to the node that sent, and shows dropped connections.
  log_config {
    enable = true
    filter = "ALL"
  }
}
