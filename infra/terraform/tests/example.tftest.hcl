# The shipped example, planned with a mocked provider. The values are those of infra/contract.env; a test holds them to it.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

variables {
  jwt_audience             = "user-profile-service"
  signing_key_secret_id    = "projects/example-project/secrets/meshpass-signing-key/versions/active"
  gke_gateway_host         = "user-profile.internal"
  gke_gateway_address      = "10.128.0.5"
  gke_gateway_ca_secret    = "gateway-ca"
  google_cloud_project     = "example-project"
  region                   = "europe-west1"
  vpc_network              = "meshpass"
  vpc_subnet               = "meshpass-functions"
  vpc_connector            = "meshpass-functions"
  function_egress          = "direct"
  cluster_name             = "meshpass"
  google_apis_host         = "private.googleapis.com"
  function_egress_range    = "10.8.0.0/24"
  node_range               = "10.128.0.0/20"
  pod_range                = "10.64.0.0/20"
  service_range            = "10.72.0.0/20"
  function_name            = "meshpass-enrichment"
  function_service_account = "meshpass-enrichment@example-project.iam.gserviceaccount.com"
  build_service_account    = "meshpass-build@example-project.iam.gserviceaccount.com"
  bigquery_table           = "example-project.enrichment.user_events"
  trigger_service_account  = "meshpass-trigger@example-project.iam.gserviceaccount.com"
  trigger_topic            = "user-events"
  dead_letter_topic        = "projects/example-project/topics/user-events-dead-letter"
  undelivered_topic        = "projects/example-project/topics/user-events-undelivered"
  lookup_service_account   = "meshpass-lookup@example-project.iam.gserviceaccount.com"
  lookup_invokers          = ["serviceAccount:orders@example-project.iam.gserviceaccount.com"]
}

run "shipped_example" {
  command = plan

  assert {
    condition     = output.gke_gateway_address == var.gke_gateway_address
    error_message = "The gateway gets the address that the contract names."
  }

  assert {
    condition     = output.reports_subject == null
    error_message = "An account that is not made here gives no subject back."
  }

  assert {
    condition     = length(module.lookup_access) == 0 && output.lookup_service_attachment == null
    error_message = "There is no way in for other projects until lookup_host is set."
  }

  assert {
    condition     = length(setintersection(local.services, ["gkehub.googleapis.com", "mesh.googleapis.com", "vpcaccess.googleapis.com", "cloudkms.googleapis.com", "billingbudgets.googleapis.com", "certificatemanager.googleapis.com"])) == 0
    error_message = "An API that nothing here uses stays off."
  }
}

run "everything_on" {
  command = plan

  variables {
    mesh_auth                = "google-id-token"
    signing_key_secret_id    = ""
    function_egress          = "connector"
    connector_range          = "10.8.3.0/28"
    function_egress_range    = "10.8.3.0/28"
    proxy_range              = "10.8.2.0/24"
    function_trigger         = "eventarc"
    function_deployed        = true
    lookup_deployed          = true
    pipeline_service_account = "meshpass-pipeline@example-project.iam.gserviceaccount.com"
    publishers               = ["serviceAccount:shop@example-project.iam.gserviceaccount.com"]
    table_readers            = ["group:analysts@example.com"]
    request_log_readers      = ["group:privacy@example.com"]
    dead_letters_in_bigquery = true
    notification_emails      = ["oncall@example.com"]
    billing_account          = "012345-6789AB-CDEF01"
    fleet_project_id         = "example-project"
    managed_mesh             = true
    secrets_key              = "projects/example-project/locations/europe-west1/keyRings/meshpass/cryptoKeys/secrets"
    security_group           = "gke-security-groups@example.com"
    node_zones               = ["europe-west1-b", "europe-west1-c"]
    gateway_nodes            = { max_per_zone = 5 }
    nat                      = { addresses = 3 }
    outbound_resolvers       = ["192.168.10.53"]
    callers                  = { reports = "reports@example-project.iam.gserviceaccount.com" }
    lookup_host              = "lookup.internal"
    lookup_ca_pool           = "projects/example-project/locations/europe-west1/caPools/internal"
    lookup_callers           = ["serviceAccount:desk@acme-desk.iam.gserviceaccount.com"]
    lookup_consumers = {
      acme-desk = {
        endpoint = { network = "projects/acme-desk/global/networks/desk", subnet = "projects/acme-desk/regions/europe-west1/subnetworks/desk" }
      }
    }
  }

  assert {
    condition     = length(module.network) == 1 && length(module.cluster) == 1 && length(module.lookup_access) == 1
    error_message = "Every part is made where its value is set."
  }

  assert {
    condition     = length(output.nat_addresses) == 3
    error_message = "The number of NAT's addresses is the one that is asked for."
  }

  assert {
    condition     = length(setintersection(local.services, ["gkehub.googleapis.com", "mesh.googleapis.com", "vpcaccess.googleapis.com", "billingbudgets.googleapis.com", "certificatemanager.googleapis.com", "eventarc.googleapis.com"])) == 6
    error_message = "The API of each part is turned on with it."
  }
}

run "other_readers_of_the_events" {
  command = plan

  variables {
    pull_worker_service_account = "meshpass-worker@example-project.iam.gserviceaccount.com"
    pull_worker_image           = "europe-west1-docker.pkg.dev/example-project/meshpass/enrichment@sha256:0000000000000000000000000000000000000000000000000000000000000000"
    pull_worker_environment     = { GKE_GATEWAY_CA_FILE = "/etc/meshpass/gateway-ca.pem" }
    pull_worker_delivery        = { exactly_once = true }
    pull_worker_deployers       = ["group:platform@example.com"]
    dataflow_service_account    = "meshpass-dataflow@example-project.iam.gserviceaccount.com"
    dataflow_launchers          = ["group:data@example.com"]
    dataflow_redrives           = true
    dataflow_source_tables      = ["example-project.archive.events"]
    dataflow_source_buckets     = ["acme-archive"]
  }

  assert {
    condition     = length(module.pull_worker) == 1 && length(module.dataflow) == 1 && contains(local.services, "dataflow.googleapis.com")
    error_message = "Each reader is made where the contract names its account."
  }
}

run "a_shared_network" {
  command = plan

  variables {
    vpc_network = "projects/acme-host/global/networks/shared"
    vpc_subnet  = "projects/acme-host/regions/europe-west1/subnetworks/functions"
  }

  assert {
    condition     = length(module.network) == 0 && length(module.cluster) == 0 && output.gke_gateway_address == null
    error_message = "The network, and what is in it, belongs to the host project."
  }
}

run "a_caller_that_deploy_grants_is_refused" {
  command = plan

  variables {
    lookup_callers = ["serviceAccount:orders@example-project.iam.gserviceaccount.com"]
  }

  expect_failures = [var.lookup_callers]
}
