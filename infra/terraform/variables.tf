# What the contract does not have, because only Terraform reads it.

variable "function_deployed" {
  description = "True once deploy/deploy has made the function and its subscription: the grants on them follow."
  type        = bool
  default     = false
}

variable "lookup_deployed" {
  description = "True once `deploy/deploy --entry-point=lookup` has made the second function: the grants on it follow."
  type        = bool
  default     = false
}

variable "pipeline_service_account" {
  description = "Account that cloudbuild.yaml runs as, NAME@PROJECT.iam.gserviceaccount.com. Empty: none is made."
  type        = string
  default     = ""
}

variable "callers" {
  description = "Further callers of the mesh whose accounts are made here: e-mail address by name, such as `{ reports = \"reports@P.iam.gserviceaccount.com\" }`. NAME_SUBJECT of the contract is the account's unique id."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for email in values(var.callers) : endswith(email, "@${var.google_cloud_project}.iam.gserviceaccount.com")])
    error_message = "callers must be accounts of GOOGLE_CLOUD_PROJECT: they are made there."
  }
}

variable "control_plane_range" {
  description = "Subnet of the private address of the cluster's control plane, a /28 or wider."
  type        = string
  default     = "10.5.0.0/28"
}

variable "further_hosts" {
  description = "Virtual hosts behind the gateway beside GKE_GATEWAY_HOST, such as ORDERS_HOST."
  type        = list(string)
  default     = []
}

variable "certificate_domains" {
  description = "Domains that the gateway's authority may ever certify names in. Another list replaces the authority."
  type        = list(string)
  default     = ["internal"]
}

variable "image_repositories" {
  description = "Artifact Registry repositories that the cluster's nodes pull images from beside ARTIFACT_REPOSITORY, by any name."
  type = map(object({
    project    = string
    location   = string
    repository = string
  }))
  default = {}
}

variable "trusted_images" {
  description = "Patterns of images that may run in the cluster; all others are refused. Empty leaves the project's Binary Authorization policy as it is."
  type        = list(string)
  default     = []
}

variable "node_zones" {
  description = "Zones of the nodes, two at least. Empty: GKE picks them."
  type        = list(string)
  default     = []
}

variable "application_nodes" {
  description = "Pool of the nodes for applications: see the module cluster."
  type = object({
    machine_type = optional(string)
    disk_size_gb = optional(number)
    min_per_zone = optional(number)
    max_per_zone = optional(number)
  })
  default = {}
}

variable "gateway_nodes" {
  description = "Pool of the nodes for the egress gateway: see the module cluster."
  type = object({
    machine_type = optional(string)
    disk_size_gb = optional(number)
    min_per_zone = optional(number)
    max_per_zone = optional(number)
  })
  default = {}
}

variable "secrets_key" {
  description = "Cloud KMS key that Kubernetes Secrets are encrypted with. Null: Google's own encryption."
  type        = string
  default     = null
}

variable "security_group" {
  description = "Google group whose nested groups may be named in Kubernetes RBAC: gke-security-groups@DOMAIN. Null: none."
  type        = string
  default     = null
}

variable "fleet_project_id" {
  description = "Project of the fleet that the cluster joins. Null: none."
  type        = string
  default     = null
}

variable "managed_mesh" {
  description = "Whether Google runs the mesh's control plane. It needs fleet_project_id, and must be what `controlPlane.mode` of infra/mesh/environments says."
  type        = bool
  default     = false
}

variable "nat" {
  description = "Cloud NAT of the egress gateway: see the module network."
  type = object({
    addresses = optional(number)
    min_ports = optional(number)
    max_ports = optional(number)
    nodes     = optional(number)
  })
  default = {}
}

variable "outbound_resolvers" {
  description = "Private addresses of DNS resolvers that filter names. Empty: the public resolution of Cloud DNS."
  type        = list(string)
  default     = []
}

variable "egress_ports" {
  description = "TCP ports that the egress gateway's nodes reach in the internet: 443, and the `port`s in the teams' files."
  type        = list(number)
  default     = [443]
}

variable "publishers" {
  description = "Members that may publish events."
  type        = list(string)
  default     = []
}

variable "table_readers" {
  description = "Members that may read the table and its view."
  type        = list(string)
  default     = []
}

variable "dead_letters_in_bigquery" {
  description = "Whether dead letters also go to a table, for the report `dead_letter_report`."
  type        = bool
  default     = false
}

variable "signing_key" {
  description = "Where the key of MESH_AUTH=signed-jwt lives: `secret` (what the function reads) or `kms` (for callers that use the SDK's `KMSKey`)."
  type        = string
  default     = "secret"
}

variable "request_log_readers" {
  description = "Members that may read the logs whose paths hold lookup keys."
  type        = list(string)
  default     = []
}

variable "notification_emails" {
  description = "E-mail addresses that alerts and the budget notify."
  type        = list(string)
  default     = []
}

variable "billing_account" {
  description = "Billing account of the budget. Empty: no budget."
  type        = string
  default     = ""
}

variable "monthly_budget" {
  description = "Budget for a month, in whole units of the billing account's currency."
  type        = number
  default     = 100
}

# --- callers of lookup in other projects ---

variable "lookup_host" {
  description = "Name under which other projects reach lookup, such as `lookup.internal`. Empty: no load balancer and no Private Service Connect is made."
  type        = string
  default     = ""
}

variable "lookup_psc_range" {
  description = "Range that callers of other projects appear from, private and at most /24."
  type        = string
  default     = "10.8.4.0/26"
}

variable "lookup_ca_pool" {
  description = "CA pool that issues the certificate of lookup_host. It is not the gateway's: that one certifies the mesh's hosts alone. Empty: lookup_certificates names one."
  type        = string
  default     = ""
}

variable "lookup_certificates" {
  description = "Regional certificates of Certificate Manager for lookup_host, in place of lookup_ca_pool."
  type        = list(string)
  default     = []
}

variable "lookup_consumers" {
  description = "Projects that may connect to lookup by Private Service Connect: see the module lookup-access."
  type = map(object({
    connection_limit = optional(number, 1)
    endpoint = optional(object({
      network = string
      subnet  = string
    }))
  }))
  default = {}
}

variable "lookup_callers" {
  description = "Members of other projects that may call lookup. Those of LOOKUP_INVOKERS are granted by deploy/deploy, and must not stand here: a grant has one owner."
  type        = list(string)
  default     = []

  validation {
    condition     = length(setintersection(var.lookup_callers, var.lookup_invokers)) == 0
    error_message = "lookup_callers names a member of LOOKUP_INVOKERS: deploy/deploy grants those. Keep each member in one of both."
  }
}

# --- the pull worker and Dataflow ---

variable "pull_worker_image" {
  description = "Image of the pull worker, named by its digest. Empty: no Cloud Run worker pool is made."
  type        = string
  default     = ""
  nullable    = false
}

variable "pull_worker_environment" {
  description = "Environment of the pull worker: `deploy/environment --for=work --format=tfvars` prints it."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "pull_worker_delivery" {
  description = "How the pull worker's subscription delivers: see the module pull-worker."
  type = object({
    ack_deadline_s        = optional(number)
    ordering              = optional(bool)
    exactly_once          = optional(bool)
    min_retry_delay_s     = optional(number)
    max_retry_delay_s     = optional(number)
    max_delivery_attempts = optional(number)
    retention_s           = optional(number)
  })
  default  = {}
  nullable = false
}

variable "pull_worker_deployers" {
  description = "Members that may deploy the pull worker, that is: act as its account."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "dataflow_launchers" {
  description = "Members that may launch, update, drain and cancel jobs, and so act as the workers' account."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "dataflow_worker_role" {
  description = "Role of the workers on the project. `roles/dataflow.worker` also reads and creates objects of every bucket; docs/dataflow.md makes a custom role that does not."
  type        = string
  default     = "roles/dataflow.worker"
  nullable    = false
}

variable "dataflow_redrives" {
  description = "Whether a backfill may read the subscriptions of DEAD_LETTER_TOPIC and UNDELIVERED_TOPIC."
  type        = bool
  default     = false
  nullable    = false
}

variable "dataflow_source_tables" {
  description = "Tables that a backfill may read, PROJECT.DATASET.TABLE. With one, workers may run BigQuery jobs in the project."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "dataflow_source_buckets" {
  description = "Buckets whose files a backfill may read, by name."
  type        = list(string)
  default     = []
  nullable    = false
}
