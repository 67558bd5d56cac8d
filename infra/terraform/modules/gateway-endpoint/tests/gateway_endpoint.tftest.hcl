# Runs with a mocked provider: `terraform -chdir=infra/terraform/modules/gateway-endpoint test` needs no project.

mock_provider "google" {
  mock_resource "google_privateca_certificate_authority" {
    defaults = { pem_ca_certificates = ["-----BEGIN CERTIFICATE-----\n(mock)\n-----END CERTIFICATE-----\n"] }
  }
}

variables {
  project_id  = "example-project"
  region      = "europe-west1"
  network     = "network"
  node_subnet = "nodes"
  address     = "10.128.0.5"
  hosts       = ["user-profile.internal", "orders.internal"]
  ca_readers  = ["serviceAccount:meshpass-enrichment@example-project.iam.gserviceaccount.com"]
}

run "shipped" {
  command = plan

  variables {
    ca_readers = []
  }
}

run "default" {
  command = apply

  assert {
    condition     = output.address == "10.128.0.5" && output.url == "https://10.128.0.5"
    error_message = "The reserved address must be the contract's."
  }

  assert {
    condition     = alltrue([for record in google_dns_record_set.hosts : record.rrdatas == tolist(["10.128.0.5"])])
    error_message = "Every host must resolve to the gateway."
  }

  assert {
    condition     = strcontains(google_privateca_ca_pool.this.issuance_policy[0].identity_constraints[0].cel_expression[0].expression, "(san.value == \"orders.internal\" || san.value == \"user-profile.internal\")")
    error_message = "The authority must certify the hosts alone."
  }

  assert {
    condition     = google_privateca_ca_pool.this.issuance_policy[0].maximum_lifetime == "2592000s"
    error_message = "A certificate must end after 30 days."
  }

  assert {
    condition     = google_secret_manager_secret_version.ca.secret_data == output.ca_certificate
    error_message = "The function must get the authority's certificate."
  }
}

run "address_that_google_picks" {
  command = plan

  variables {
    address = null
  }
}

run "wrong_values" {
  command = plan

  variables {
    name                      = "Gateway"
    address                   = "gateway"
    hosts                     = ["metadata.google.internal", "*.internal"]
    certificate_lifetime_days = 365
    tier                      = "CHEAP"
    ca_readers                = ["allUsers"]
  }

  expect_failures = [var.name, var.address, var.hosts, var.certificate_lifetime_days, var.tier, var.ca_readers]
}

run "host_outside_of_the_domains" {
  command = plan

  variables {
    hosts = ["user-profile.example.com"]
  }

  expect_failures = [var.certificate_domains]
}
