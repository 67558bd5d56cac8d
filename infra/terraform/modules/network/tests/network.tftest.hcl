# Runs with a mocked provider: `terraform -chdir=infra/terraform/modules/network test` needs no project and no credentials.

mock_provider "google" {}

variables {
  project_id               = "example-project"
  region                   = "europe-west1"
  name                     = "meshpass"
  node_range               = "10.128.0.0/20"
  pod_range                = "10.64.0.0/20"
  service_range            = "10.72.0.0/20"
  direct_egress            = { subnet = "meshpass-functions", range = "10.8.0.0/26" }
  gateway_address          = "10.128.0.5"
  application_node_account = "meshpass-applications@example-project.iam.gserviceaccount.com"
  gateway_node_account     = "meshpass-gateways@example-project.iam.gserviceaccount.com"
}

run "default" {
  command = plan

  assert {
    condition     = google_compute_network.this.auto_create_subnetworks == false && google_compute_network.this.delete_default_routes_on_create == true
    error_message = "The network must have neither automatic subnets nor the default routes."
  }

  assert {
    condition     = alltrue([for rule in google_compute_network_firewall_policy_rule.this : rule.enable_logging])
    error_message = "Every rule must log."
  }

  assert {
    condition     = google_compute_router_nat.this.min_ports_per_vm == 1024 && google_compute_router_nat.this.nat_ip_allocate_option == "MANUAL_ONLY"
    error_message = "NAT must have a floor of ports and reserved addresses."
  }

  assert {
    condition     = length(google_vpc_access_connector.this) == 0 && length(google_compute_subnetwork.proxies) == 0
    error_message = "Connector and proxies are made only where they are asked for."
  }
}

run "restricted" {
  command = plan

  variables {
    google_apis_host = "restricted.googleapis.com"
  }

  assert {
    condition     = google_compute_route.google_apis.dest_range == "199.36.153.4/30" && google_compute_network_firewall_policy_rule.this["nodes-to-google-apis"].match[0].dest_ip_ranges[0] == "199.36.153.4/30"
    error_message = "Route and firewall must follow google_apis_host."
  }

  assert {
    condition     = toset(google_dns_record_set.google_address["pkg.dev"].rrdatas) == toset(["199.36.153.4", "199.36.153.5", "199.36.153.6", "199.36.153.7"])
    error_message = "DNS must follow google_apis_host."
  }
}

run "connector_proxies_and_shared_vpc" {
  command = apply

  variables {
    direct_egress         = null
    connector             = { name = "meshpass-functions", range = "10.8.1.0/28" }
    proxy_range           = "10.9.0.0/23"
    outbound_resolvers    = ["192.168.10.53"]
    function_subnet_users = ["serviceAccount:service-1@serverless-robot-prod.iam.gserviceaccount.com"]
    node_subnet_users     = ["serviceAccount:service-1@container-engine-robot.iam.gserviceaccount.com"]
  }

  assert {
    condition     = google_compute_network_firewall_policy_rule.this["function-to-gateway"].match[0].src_ip_ranges == tolist(["10.8.1.0/28"])
    error_message = "The connector's range must be the one that reaches the gateway."
  }

  assert {
    condition     = google_compute_subnetwork.proxies[0].purpose == "REGIONAL_MANAGED_PROXY"
    error_message = "The proxies' subnet must be proxy-only."
  }

  assert {
    condition     = length(google_compute_subnetwork_iam_member.nodes) == 2
    error_message = "GKE's agent must have both of the cluster's subnets."
  }
}

run "overlap" {
  command = plan

  variables {
    pod_range = "10.128.8.0/21"
  }

  expect_failures = [google_compute_network.this]
}

run "address_outside" {
  command = plan

  variables {
    gateway_address = "10.64.0.5"
  }

  expect_failures = [google_compute_subnetwork.nodes]
}

run "wrong_values" {
  command = plan

  variables {
    google_apis_host   = "www.googleapis.com"
    google_domains     = ["googleapis.com"]
    egress_ports       = [80]
    nat                = { addresses = 1, min_ports = 32768, max_ports = 65536, nodes = 9 }
    direct_egress      = { subnet = "meshpass-functions", range = "10.8.0.0/20" }
    node_range         = "10.128.0.1/20"
    node_subnet_users  = ["allUsers"]
    outbound_resolvers = ["8.8.8.8"]
  }

  expect_failures = [var.google_apis_host, var.google_domains, var.egress_ports, var.nat, var.direct_egress, var.node_range, var.node_subnet_users, var.outbound_resolvers]
}

run "name_of_a_connector" {
  command = plan

  variables {
    connector = { name = "a-connector-for-all", range = "10.8.1.0/28" }
  }

  expect_failures = [var.connector]
}
