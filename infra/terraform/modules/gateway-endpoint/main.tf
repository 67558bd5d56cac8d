# The address and the names of the mesh's internal gateway. authority.tf has who certifies these names.

resource "google_compute_address" "this" {
  project     = var.project_id
  region      = var.region
  name        = var.name
  description = "The mesh's internal gateway."
  # Why: reserved, because the function, the firewall and DNS name it. An ephemeral address changes with the Service.
  address      = var.address
  address_type = "INTERNAL"
  # One Service with one forwarding rule uses it. SHARED_LOADBALANCER_VIP is for several rules at one address.
  purpose    = "GCE_ENDPOINT"
  subnetwork = var.node_subnet
}

# Why: a zone for each host, and not one for their domain. A zone `internal.` would hide metadata.google.internal and the names
# of all machines from the whole network.
resource "google_dns_managed_zone" "hosts" {
  for_each = var.hosts

  project     = var.project_id
  name        = replace(each.value, ".", "-")
  description = "${each.value} at the mesh's internal gateway."
  dns_name    = "${each.value}."
  # Why: in the one network. The name says what runs inside, and answers with a private address.
  visibility = "private"

  private_visibility_config {
    networks {
      network_url = var.network
    }
  }
}

resource "google_dns_record_set" "hosts" {
  for_each = var.hosts

  project      = var.project_id
  managed_zone = google_dns_managed_zone.hosts[each.value].name
  name         = "${each.value}."
  type         = "A"
  ttl          = 300
  rrdatas      = [google_compute_address.this.address]
}
