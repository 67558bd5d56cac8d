# The shipped example: everything that infra/contract.env names, from an empty project on.

locals {
  lookup_function_name = coalesce(var.lookup_function_name, "${var.function_name}-lookup")
  subscription_name    = coalesce(var.subscription_name, var.function_name)

  # A network that is named in full lies in the host project of a Shared VPC. Its owner makes it, its subnets and the
  # cluster in it.
  own_network   = !startswith(var.vpc_network, "projects/")
  shared_subnet = startswith(var.vpc_subnet, "projects/") ? var.vpc_subnet : ""

  # Both are off until the contract names their accounts.
  makes_pull_worker = var.pull_worker_service_account != ""
  makes_dataflow    = var.dataflow_service_account != ""
  pull_worker_name  = coalesce(var.pull_worker_name, "${var.function_name}-worker")
  dataflow_job      = coalesce(var.dataflow_job, "${var.function_name}-dataflow")

  # What every reader of events needs, by what it is for.
  enrichment_secrets = merge(
    local.gateway_ca_reader == "" ? {} : {
      gateway_ca = {
        project = coalesce(regex("^(?:projects/([^/]+)/secrets/)?", var.gke_gateway_ca_secret)[0], var.google_cloud_project)
        secret  = local.gateway_ca_reader
      }
    },
    var.mesh_auth == "signed-jwt" && var.signing_key == "secret" ? {
      signing_key = { project = var.google_cloud_project, secret = split("/", var.signing_key_secret_id)[3] }
    } : {},
    var.pseudonym_key_secret_id == "" ? {} : {
      pseudonym_key = { project = var.google_cloud_project, secret = split("/", var.pseudonym_key_secret_id)[3] }
    },
  )

  # In a Shared VPC the gateway's endpoint is the host project's, and there may be no private CA.
  gateway_ca_reader = local.own_network || var.gke_gateway_ca_secret != "" ? local.gateway_ca_secret : ""

  makes_lookup_access = var.lookup_host != "" && local.own_network

  # Without an address in the contract the gateway gets the fifth one of the nodes' range, and the output gives it back.
  # It must be known beforehand: the firewall names it, and it lies in a subnet of the same network.
  gateway_address = coalesce(var.gke_gateway_address, cidrhost(var.node_range, 5))

  # The contract may name a version, which a deployment mounts. The secret is the same.
  gateway_ca_secret = coalesce(regex("^(?:projects/[^/]+/secrets/)?([^/:]*)", var.gke_gateway_ca_secret)[0], "gateway-ca")

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
    var.mesh_auth == "signed-jwt" && var.signing_key == "kms" ? ["cloudkms.googleapis.com"] : [],
    var.function_egress == "connector" ? ["vpcaccess.googleapis.com"] : [],
    var.billing_account == "" ? [] : ["billingbudgets.googleapis.com"],
    local.makes_dataflow ? ["dataflow.googleapis.com", "storage.googleapis.com"] : [],
    local.own_network ? [
      "binaryauthorization.googleapis.com",
      "container.googleapis.com",
      "dns.googleapis.com",
      "privateca.googleapis.com",
    ] : [],
    local.own_network && var.fleet_project_id != null ? ["gkehub.googleapis.com"] : [],
    local.own_network && var.managed_mesh ? ["mesh.googleapis.com"] : [],
    local.makes_lookup_access ? ["certificatemanager.googleapis.com"] : [],
  ))
}

resource "google_project_service" "this" {
  for_each = local.services

  project = var.google_cloud_project
  service = each.value

  # Why: other things in the project may need them, and turning an API off can delete what was made with it.
  disable_on_destroy         = false
  disable_dependent_services = false
}

# Why: once, here, and with no depends_on. A module that waits for APIs reads its data sources after them, so the number
# would be unknown with each new API, and all grants that are made from it would be replaced.
data "google_project" "this" {
  project_id = var.google_cloud_project
}

# --- what the function needs around it ---

module "function_platform" {
  source = "./modules/function-platform"

  project_id               = var.google_cloud_project
  project_number           = data.google_project.this.number
  region                   = var.region
  function_name            = var.function_name
  lookup_function_name     = local.lookup_function_name
  subscription_name        = local.subscription_name
  function_trigger         = var.function_trigger
  function_egress          = var.function_egress
  function_deployed        = var.function_deployed
  max_instances            = var.function_max_instances
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
  # Why: the grants on the CA's secret are made here in either case; the secret is made by the gateway's endpoint.
  gateway_ca_secret        = local.own_network ? module.gateway_endpoint[0].ca_secret : var.gke_gateway_ca_secret
  create_gateway_ca_secret = false
  artifact_repository      = var.artifact_repository
  request_log_readers      = var.request_log_readers
  notification_emails      = var.notification_emails
  billing_account          = var.billing_account
  monthly_budget           = var.monthly_budget

  depends_on = [google_project_service.this]
}

# --- other readers of the same events: a worker that pulls, and Dataflow ---

module "pull_worker" {
  source = "./modules/pull-worker"
  count  = local.makes_pull_worker ? 1 : 0

  project_id            = var.google_cloud_project
  project_number        = data.google_project.this.number
  region                = var.region
  name                  = local.pull_worker_name
  service_account       = var.pull_worker_service_account
  subscription          = coalesce(var.pull_worker_subscription, local.pull_worker_name)
  trigger_topic         = var.trigger_topic
  dead_letter_topic     = var.dead_letter_topic
  undelivered_topic     = var.undelivered_topic
  delivery              = var.pull_worker_delivery
  bigquery_table        = var.bigquery_table
  secrets               = local.enrichment_secrets
  gateway_ca_version    = try(regex("(?::|/versions/)([^/:]+)$", var.gke_gateway_ca_secret)[0], "latest")
  image_repository      = var.artifact_repository
  deployers             = var.pull_worker_deployers
  image                 = var.pull_worker_image
  environment           = var.pull_worker_environment
  instances             = var.pull_worker_instances
  network               = var.vpc_network
  subnet                = var.vpc_subnet
  notification_channels = module.function_platform.notification_channels

  # Why: it reads the topics, writes the table and reads the secrets that the platform makes.
  depends_on = [google_project_service.this, module.function_platform, module.network]
}

module "dataflow" {
  source = "./modules/dataflow"
  count  = local.makes_dataflow ? 1 : 0

  project_id             = var.google_cloud_project
  project_number         = data.google_project.this.number
  region                 = var.region
  job                    = local.dataflow_job
  service_account        = var.dataflow_service_account
  subscription           = coalesce(var.dataflow_subscription, local.dataflow_job)
  trigger_topic          = var.trigger_topic
  dead_letter_topic      = var.dead_letter_topic
  redriven_subscriptions = var.dataflow_redrives ? [for topic in [var.dead_letter_topic, var.undelivered_topic] : reverse(split("/", topic))[0]] : []
  bigquery_table         = var.bigquery_table
  source_tables          = var.dataflow_source_tables
  source_buckets         = var.dataflow_source_buckets
  secrets                = local.enrichment_secrets
  image_repository       = var.artifact_repository
  bucket                 = coalesce(var.dataflow_bucket, "${var.google_cloud_project}-dataflow")
  worker_role            = var.dataflow_worker_role
  launchers              = var.dataflow_launchers
  subnet                 = var.vpc_subnet
  notification_channels  = module.function_platform.notification_channels

  depends_on = [google_project_service.this, module.function_platform]
}

# --- the other callers of the mesh: accounts, and nothing that they may do in this project ---

resource "google_service_account" "callers" {
  for_each = var.callers

  project      = var.google_cloud_project
  account_id   = split("@", each.value)[0]
  display_name = "The caller ${each.key} of the mesh"

  depends_on = [google_project_service.this]
}

# --- the network, the cluster in it and the gateway's endpoint ---

module "network" {
  source = "./modules/network"
  count  = local.own_network ? 1 : 0

  project_id               = var.google_cloud_project
  region                   = var.region
  name                     = var.vpc_network
  node_range               = var.node_range
  pod_range                = var.pod_range
  service_range            = var.service_range
  control_plane_range      = var.control_plane_range
  direct_egress            = var.function_egress == "direct" ? { subnet = var.vpc_subnet, range = var.function_egress_range } : null
  connector                = var.function_egress == "connector" ? { name = reverse(split("/", var.vpc_connector))[0], range = var.connector_range } : null
  proxy_range              = var.proxy_range == "" ? null : var.proxy_range
  further_ranges           = local.makes_lookup_access ? { lookup_psc_range = var.lookup_psc_range } : {}
  gateway_address          = local.gateway_address
  dataflow_worker_account  = var.dataflow_service_account
  application_node_account = module.cluster[0].application_node_account
  gateway_node_account     = module.cluster[0].gateway_node_account
  google_apis_host         = var.google_apis_host
  egress_ports             = var.egress_ports
  nat                      = var.nat
  outbound_resolvers       = var.outbound_resolvers

  # Why: a rule of the firewall names the account of Dataflow's workers, which must exist.
  depends_on = [google_project_service.this, module.dataflow]
}

module "cluster" {
  source = "./modules/cluster"
  count  = local.own_network ? 1 : 0

  project_id     = var.google_cloud_project
  project_number = data.google_project.this.number
  region         = var.region
  name           = var.cluster_name
  network        = module.network[0].network
  # Why: from the gateway's endpoint, and not from the network. Nodes could take the gateway's address before it is reserved.
  node_subnet          = module.gateway_endpoint[0].node_subnet
  pod_range_name       = module.network[0].pod_range_name
  service_range_name   = module.network[0].service_range_name
  control_plane_subnet = module.network[0].control_plane_subnet
  internet_tag         = module.network[0].internet_tag
  zones                = var.node_zones
  application_nodes    = var.application_nodes
  gateway_nodes        = var.gateway_nodes
  # Why: nodes may pull what the project builds, and what is named beside it. Without a grant they pull nothing.
  image_repositories = merge(
    { project = { project = var.google_cloud_project, location = var.region, repository = module.function_platform.image_repository_name } },
    var.image_repositories,
  )
  trusted_images   = var.trusted_images
  secrets_key      = var.secrets_key
  security_group   = var.security_group
  fleet_project_id = var.fleet_project_id
  managed_mesh     = var.managed_mesh

  depends_on = [google_project_service.this]
}

module "gateway_endpoint" {
  source = "./modules/gateway-endpoint"
  count  = local.own_network ? 1 : 0

  project_id          = var.google_cloud_project
  region              = var.region
  network             = module.network[0].network
  node_subnet         = module.network[0].node_subnet
  address             = local.gateway_address
  hosts               = concat([var.gke_gateway_host], var.further_hosts)
  certificate_domains = var.certificate_domains
  ca_secret           = local.gateway_ca_secret

  depends_on = [google_project_service.this]
}

# --- callers of lookup in other projects ---

module "lookup_access" {
  source = "./modules/lookup-access"
  count  = local.makes_lookup_access ? 1 : 0

  project_id       = var.google_cloud_project
  project_number   = data.google_project.this.number
  region           = var.region
  service          = local.lookup_function_name
  service_deployed = var.lookup_deployed
  host             = var.lookup_host
  network          = module.network[0].network
  # Why: as for the cluster. Google picks the load balancer's address, and could pick the gateway's.
  subnet       = module.gateway_endpoint[0].node_subnet
  proxy_subnet = var.proxy_range == "" ? "" : module.network[0].proxy_subnet
  psc_range    = var.lookup_psc_range
  certificates = var.lookup_certificates
  ca_pool      = var.lookup_ca_pool
  invokers     = var.lookup_callers
  consumers    = var.lookup_consumers

  depends_on = [google_project_service.this]
}
