# Planned with a mocked provider.

mock_provider "google" {}

variables {
  project_id       = "acme-mesh"
  project_number   = "123456789012"
  region           = "europe-west1"
  service          = "meshpass-enrichment-lookup"
  service_deployed = true
  host             = "lookup.internal"
  network          = "projects/acme-mesh/global/networks/meshpass"
  subnet           = "projects/acme-mesh/regions/europe-west1/subnetworks/meshpass-nodes"
  proxy_subnet     = "projects/acme-mesh/regions/europe-west1/subnetworks/meshpass-proxies"
  psc_range        = "10.8.4.0/26"
  ca_pool          = "projects/acme-mesh/locations/europe-west1/caPools/gateway"
  invokers         = ["serviceAccount:orders@acme-shop.iam.gserviceaccount.com"]
  consumers = {
    acme-shop = {
      connection_limit = 2
      endpoint         = { network = "projects/acme-shop/global/networks/shop", subnet = "projects/acme-shop/regions/europe-west1/subnetworks/shop" }
    }
    acme-desk = {}
  }
}

run "two_projects" {
  command = plan

  assert {
    condition     = google_compute_service_attachment.lookup.connection_preference == "ACCEPT_MANUAL" && length(google_compute_service_attachment.lookup.consumer_accept_lists) == 2
    error_message = "Only the projects that are listed may connect."
  }

  assert {
    condition     = length(google_compute_forwarding_rule.endpoint) == 1 && google_compute_forwarding_rule.endpoint["acme-shop"].project == "acme-shop"
    error_message = "The endpoint is made in the consumer's project, where that is asked for."
  }

  assert {
    condition     = google_cloud_run_v2_service_iam_member.invokers["serviceAccount:orders@acme-shop.iam.gserviceaccount.com"].role == "roles/run.invoker"
    error_message = "The grant is on the Cloud Run service."
  }
}

run "nothing_is_granted_before_the_service_is_there" {
  command = plan

  variables {
    service_deployed = false
  }

  assert {
    condition     = length(google_cloud_run_v2_service_iam_member.invokers) == 0
    error_message = "A grant on a service that does not exist fails."
  }
}

run "values_that_open_more_than_they_should_are_refused" {
  command = plan

  variables {
    invokers     = ["allUsers", "allAuthenticatedUsers"]
    psc_range    = "8.8.8.0/24"
    certificates = ["projects/acme-mesh/locations/europe-west1/certificates/lookup"]
  }

  expect_failures = [var.invokers, var.psc_range, var.ca_pool]
}

run "no_proxy_subnet_is_refused" {
  command = plan

  variables {
    proxy_subnet = ""
  }

  expect_failures = [google_compute_forwarding_rule.lookup]
}
