# One virtual address for all of Google's APIs. Names, route and firewall are made from `local.google_apis`, so they cannot
# differ.

locals {
  # https://cloud.google.com/vpc/docs/configure-private-google-access
  google_apis = {
    "private.googleapis.com"    = "199.36.153.8/30"
    "restricted.googleapis.com" = "199.36.153.4/30"
  }[var.google_apis_host]

  # Why: 34.126.0.0/18 (gRPC's direct paths) is not opened. Clients fall back to the virtual address, and one range is easier
  # to keep the same in DNS, route, firewall and NetworkPolicies.
  google_apis_addresses = [for number in range(4) : cidrhost(local.google_apis, number)]
}

resource "google_compute_route" "google_apis" {
  project     = var.project_id
  name        = "${var.name}-google-apis"
  description = "To Google's APIs. The next hop is named after the internet, but this range never leaves Google's network."
  network     = google_compute_network.this.name
  # Why: the one range, not 0.0.0.0/0. Without the default route no machine but the egress gateway's has a way further.
  dest_range       = local.google_apis
  next_hop_gateway = "default-internet-gateway"
  priority         = 900
}

# Why: gcr.io and pkg.dev as well. Images come from there, and without a zone their names resolve to public addresses.
resource "google_dns_managed_zone" "google" {
  for_each = toset(var.google_domains)

  project     = var.project_id
  name        = "${var.name}-${replace(each.value, ".", "-")}"
  description = "${each.value} at Google's virtual address ${var.google_apis_host}."
  dns_name    = "${each.value}."
  visibility  = "private"

  private_visibility_config {
    networks {
      network_url = google_compute_network.this.id
    }
  }
}

resource "google_dns_record_set" "google_address" {
  for_each = toset(var.google_domains)

  project      = var.project_id
  managed_zone = google_dns_managed_zone.google[each.value].name
  # Why: in googleapis.com the one name that stands for the virtual address; in other domains the domain itself.
  name    = each.value == "googleapis.com" ? "${var.google_apis_host}." : "${each.value}."
  type    = "A"
  ttl     = 300
  rrdatas = local.google_apis_addresses
}

resource "google_dns_record_set" "google_names" {
  for_each = toset(var.google_domains)

  project      = var.project_id
  managed_zone = google_dns_managed_zone.google[each.value].name
  name         = "*.${each.value}."
  type         = "CNAME"
  ttl          = 300
  rrdatas      = [each.value == "googleapis.com" ? "${var.google_apis_host}." : "${each.value}."]
}
