# The shipped example: everything that infra/contract.env names, from an empty project on.

locals {
  lookup_function_name = coalesce(var.lookup_function_name, "${var.function_name}-lookup")
  subscription_name    = coalesce(var.subscription_name, var.function_name)

  # A network that is named in full lies in the host project of a Shared VPC. Its owner makes it, its subnets and the
  # cluster in it.
  own_network   = !startswith(var.vpc_network, "projects/")
  shared_subnet = startswith(var.vpc_subnet, "projects/") ? var.vpc_subnet : ""

  makes_lookup_access = var.lookup_host != "" && local.own_network

  services = toset(concat(
    [
      "artifactregistry.googleapis.com",
      "bigquery.googleapis.com",
      "cloudbuild.googleapis.com",
      "cloudfunctions.googleapis.com",
      "cloudresourcemanager.googleapis.com",
      "compute.googleapis.com",
      "containerscanning.googleapis.com",
      "iam.googleapis.com",
      "logging.googleapis.com",
      "monitoring.googleapis.com",
      "pubsub.googleapis.com",
      "run.googleapis.com",
      "secretmanager.googleapis.com",
    ],
    var.function_trigger == "eventarc" ? ["eventarc.googleapis.com"] : [],
    var.function_egress == "connector" ? ["vpcaccess.googleapis.com"] : [],
    var.billing_account == "" ? [] : ["billingbudgets.googleapis.com"],
    local.own_network ? [
      "container.googleapis.com",
      "dns.googleapis.com",
      "gkehub.googleapis.com",
      "mesh.googleapis.com",
      "privateca.googleapis.com",
    ] : [],
    local.makes_lookup_access ? ["certificatemanager.googleapis.com"] : [],
  ))
}

resource "google_project_service" "this" {
  for_each = local.services

  project = var.google_cloud_project
  service = each.value

  # Other things in the project may need them, and turning an API off can delete what was made with it.
  disable_on_destroy         = false
  disable_dependent_services = false
}

# --- what the function needs around it ---

module "function_platform" {
  source = "./modules/function-platform"

  project_id               = var.google_cloud_project
  region                   = var.region
  function_name            = var.function_name
  lookup_function_name     = local.lookup_function_name
  subscription_name        = local.subscription_name
  function_trigger         = var.function_trigger
  function_deployed        = var.function_deployed
  lookup_deployed          = var.lookup_deployed
  lookup_invokers          = var.lookup_invokers
  function_service_account = var.function_service_account
  lookup_service_account   = var.lookup_service_account
  trigger_service_account  = var.trigger_service_account
  build_service_account    = var.build_service_account
  pipeline_service_account = var.pipeline_service_account
  shared_subnet            = local.shared_subnet
  trigger_topic            = var.trigger_topic
  dead_letter_topic        = var.dead_letter_topic
  undelivered_topic        = var.undelivered_topic
  publishers               = var.publishers
  bigquery_table           = var.bigquery_table
  table_readers            = var.table_readers
  dead_letters_in_bigquery = var.dead_letters_in_bigquery
  mesh_auth                = var.mesh_auth
  signing_key              = var.signing_key
  signing_key_secret_id    = var.signing_key_secret_id
  pseudonym_key_secret_id  = var.pseudonym_key_secret_id
  gateway_ca_secret        = var.gke_gateway_ca_secret
  artifact_repository      = var.artifact_repository
  request_log_readers      = var.request_log_readers
  notification_emails      = var.notification_emails
  billing_account          = var.billing_account
  monthly_budget           = var.monthly_budget

  depends_on = [google_project_service.this]
}

# --- the other callers of the example: accounts, and nothing that they may do in this project ---

locals {
  callers = {
    for name, email in { reports = var.reports_email, storefront = var.storefront_email } :
    name => split("@", email)[0] if endswith(email, "@${var.google_cloud_project}.iam.gserviceaccount.com")
  }
}

resource "google_service_account" "callers" {
  for_each = local.callers

  project      = var.google_cloud_project
  account_id   = each.value
  display_name = "The caller ${each.key} of the mesh"

  depends_on = [google_project_service.this]
}
