# Callers of lookup in other projects. Cloud Run admits what comes through an internal Application Load Balancer of the
# same project as internal traffic, so lookup keeps its ingress `internal-only`. Another project reaches the load balancer
# through Private Service Connect: no peering, no overlapping ranges, and only the projects that are listed.

# --- the load balancer ---

resource "google_compute_region_network_endpoint_group" "lookup" {
  project               = var.project_id
  region                = var.region
  name                  = var.service
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = var.service
  }
}

resource "google_compute_region_backend_service" "lookup" {
  project               = var.project_id
  region                = var.region
  name                  = var.service
  protocol              = "HTTPS"
  load_balancing_scheme = "INTERNAL_MANAGED"

  backend {
    group           = google_compute_region_network_endpoint_group.lookup.id
    balancing_mode  = "UTILIZATION"
    capacity_scaler = 1.0
  }

  log_config {
    enable      = var.log_requests
    sample_rate = var.log_requests ? 1.0 : null
  }
}

resource "google_compute_region_url_map" "lookup" {
  project         = var.project_id
  region          = var.region
  name            = var.service
  default_service = google_compute_region_backend_service.lookup.id
}

resource "google_compute_region_target_https_proxy" "lookup" {
  project = var.project_id
  region  = var.region
  name    = var.service
  url_map = google_compute_region_url_map.lookup.id

  certificate_manager_certificates = local.certificates
}

resource "google_compute_address" "load_balancer" {
  project = var.project_id
  region  = var.region
  name    = "${var.service}-load-balancer"

  # Why: INTERNAL must be written: the default is a public address.
  address_type = "INTERNAL"
  subnetwork   = var.subnet
  purpose      = "GCE_ENDPOINT"
  labels       = var.labels
}

resource "google_compute_forwarding_rule" "lookup" {
  project    = var.project_id
  region     = var.region
  name       = var.service
  ip_address = google_compute_address.load_balancer.id
  target     = google_compute_region_target_https_proxy.lookup.id
  port_range = "443"
  network    = var.network
  subnetwork = var.subnet
  labels     = var.labels

  # Why: the default is EXTERNAL.
  load_balancing_scheme = "INTERNAL_MANAGED"
  ip_protocol           = "TCP"
  # Why: callers are in this region: one less way in.
  allow_global_access = false

  lifecycle {
    precondition {
      condition     = var.proxy_subnet != ""
      error_message = "The load balancer needs a proxy-only subnet in the network: set PROXY_RANGE in infra/contract.env."
    }
  }
}

# --- its certificate ---

locals {
  issues       = var.ca_pool != ""
  certificates = local.issues ? [google_certificate_manager_certificate.lookup[0].id] : var.certificates

  certificate_agent = "serviceAccount:service-${var.project_number}@gcp-sa-certificatemanager.iam.gserviceaccount.com"
}

# Why: to Google's own account of Certificate Manager, which acts for the issuance configs of this project alone. On the project
# of the pool: google_privateca_ca_pool_iam_member would be narrower, but is not among the resources that the tests can check.
resource "google_project_iam_member" "certificate_manager_requests" {
  count = local.issues ? 1 : 0

  project = split("/", var.ca_pool)[1]
  role    = "roles/privateca.certificateRequester"
  member  = local.certificate_agent
}

resource "google_certificate_manager_certificate_issuance_config" "lookup" {
  count = local.issues ? 1 : 0

  project  = var.project_id
  location = var.region
  name     = var.service

  certificate_authority_config {
    certificate_authority_service_config {
      ca_pool = var.ca_pool
    }
  }

  # Why: 30 days, renewed when a third is left: a key that leaked is of use for weeks at most.
  lifetime                   = "2592000s"
  rotation_window_percentage = 34
  key_algorithm              = "ECDSA_P256"

  depends_on = [google_project_iam_member.certificate_manager_requests]
}

resource "google_certificate_manager_certificate" "lookup" {
  count = local.issues ? 1 : 0

  project  = var.project_id
  location = var.region
  name     = var.service
  labels   = var.labels

  managed {
    domains         = [var.host]
    issuance_config = google_certificate_manager_certificate_issuance_config.lookup[0].id
  }
}

# --- its name, for callers in the same network ---

resource "google_dns_managed_zone" "lookup" {
  project    = var.project_id
  name       = "${var.service}-producer"
  dns_name   = "${var.host}."
  visibility = "private"
  labels     = var.labels

  private_visibility_config {
    networks {
      network_url = var.network
    }
  }
}

resource "google_dns_record_set" "lookup" {
  project      = var.project_id
  managed_zone = google_dns_managed_zone.lookup.name
  name         = google_dns_managed_zone.lookup.dns_name
  type         = "A"
  ttl          = 300
  rrdatas      = [google_compute_address.load_balancer.address]
}

# --- Private Service Connect: the producer's side ---

resource "google_compute_subnetwork" "psc" {
  project       = var.project_id
  region        = var.region
  name          = "${var.service}-psc"
  network       = var.network
  ip_cidr_range = var.psc_range
  purpose       = "PRIVATE_SERVICE_CONNECT"
}

resource "google_compute_service_attachment" "lookup" {
  project        = var.project_id
  region         = var.region
  name           = var.service
  description    = "lookup for the projects that are listed."
  target_service = google_compute_forwarding_rule.lookup.id
  nat_subnets    = [google_compute_subnetwork.psc.id]

  # Why: ACCEPT_AUTOMATIC would let every project of Google Cloud connect.
  connection_preference = "ACCEPT_MANUAL"
  # Why: an endpoint that is connected is cut off when its project leaves the list.
  reconcile_connections = true
  # Why: the load balancer does not read the PROXY protocol.
  enable_proxy_protocol = false

  dynamic "consumer_accept_lists" {
    for_each = var.consumers

    content {
      project_id_or_num = consumer_accept_lists.key
      connection_limit  = consumer_accept_lists.value.connection_limit
    }
  }
}

# --- Private Service Connect: the consumers' side ---

locals {
  endpoints = { for project, consumer in var.consumers : project => consumer.endpoint if consumer.endpoint != null }
}

resource "google_compute_address" "endpoint" {
  for_each = local.endpoints

  project      = each.key
  region       = var.region
  name         = var.service
  address_type = "INTERNAL"
  subnetwork   = each.value.subnet
  purpose      = "GCE_ENDPOINT"
  labels       = var.labels
}

resource "google_compute_forwarding_rule" "endpoint" {
  for_each = local.endpoints

  project    = each.key
  region     = var.region
  name       = var.service
  ip_address = google_compute_address.endpoint[each.key].id
  network    = each.value.network
  target     = google_compute_service_attachment.lookup.id
  labels     = var.labels

  # Why: an endpoint of Private Service Connect has no scheme. It must be written as empty: the default is EXTERNAL.
  load_balancing_scheme   = ""
  allow_psc_global_access = false
}

resource "google_dns_managed_zone" "endpoint" {
  for_each = local.endpoints

  project    = each.key
  name       = var.service
  dns_name   = "${var.host}."
  visibility = "private"
  labels     = var.labels

  private_visibility_config {
    networks {
      network_url = each.value.network
    }
  }
}

resource "google_dns_record_set" "endpoint" {
  for_each = local.endpoints

  project      = each.key
  managed_zone = google_dns_managed_zone.endpoint[each.key].name
  name         = google_dns_managed_zone.endpoint[each.key].dns_name
  type         = "A"
  ttl          = 300
  rrdatas      = [google_compute_address.endpoint[each.key].address]
}

# --- who may call ---

# Why: on the Cloud Run service: a grant on the function alone lets no request in, for Cloud Run asks its own policy.
resource "google_cloud_run_v2_service_iam_member" "invokers" {
  for_each = var.service_deployed ? toset(var.invokers) : toset([])

  project  = var.project_id
  location = var.region
  name     = var.service
  role     = "roles/run.invoker"
  member   = each.value
}
