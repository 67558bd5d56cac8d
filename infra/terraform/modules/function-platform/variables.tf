variable "project_id" {
  description = "Project of the function."
  type        = string
}

variable "project_number" {
  description = "Number of the project, for the addresses of Google's service agents. Read it in the root: a data source in here would be unknown while an API is turned on, and replace the grants that are made from it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]+$", var.project_number))
    error_message = "project_number must be digits."
  }
}

variable "region" {
  description = "Region of the function, of its data and of its secrets."
  type        = string
}

variable "labels" {
  description = "Labels of every resource that takes labels."
  type        = map(string)
  default     = { app = "meshpass" }
}

variable "encryption_key" {
  description = "Cloud KMS key of your own for topics, dataset, secrets and images: `projects/P/locations/L/keyRings/R/cryptoKeys/K`. Null: Google's keys. The service agents of Pub/Sub, BigQuery, Secret Manager and Artifact Registry need `roles/cloudkms.cryptoKeyEncrypterDecrypter` on it."
  type        = string
  default     = null
}

# --- the function, which deploy/deploy makes ---

variable "function_name" {
  description = "Name of the function, and of its Cloud Run service."
  type        = string
}

variable "lookup_function_name" {
  description = "Name of the second function, `lookup`, and of its Cloud Run service."
  type        = string
}

variable "subscription_name" {
  description = "Name of the push subscription that deploy/deploy makes."
  type        = string
}

variable "function_trigger" {
  description = "How events reach the function: `push` (a subscription of ours) or `eventarc`."
  type        = string
  default     = "push"

  validation {
    condition     = contains(["push", "eventarc"], var.function_trigger)
    error_message = "function_trigger must be push or eventarc."
  }
}

variable "function_egress" {
  description = "How the function reaches the network: `direct` or `connector`. With `connector` the pipeline may look at the connector."
  type        = string
  default     = "direct"

  validation {
    condition     = contains(["direct", "connector"], var.function_egress)
    error_message = "function_egress must be direct or connector."
  }
}

variable "function_deployed" {
  description = "True once deploy/deploy has made the function and its subscription. Then the two grants on them are made here, and the account that deploys needs no right to change IAM policies."
  type        = bool
  default     = false
}

variable "max_instances" {
  description = "Instances that each function may have at most. The dashboard draws the line."
  type        = number
  default     = 20
}

# --- accounts: e-mail addresses, NAME@PROJECT.iam.gserviceaccount.com ---

variable "function_service_account" {
  description = "Account that the function runs as."
  type        = string

  validation {
    condition     = endswith(var.function_service_account, "@${var.project_id}.iam.gserviceaccount.com")
    error_message = "function_service_account must be an account of project_id: this module makes it."
  }
}

variable "lookup_service_account" {
  description = "Account that the second function runs as. Empty: none is made."
  type        = string
  default     = ""

  validation {
    condition     = var.lookup_service_account == "" || endswith(var.lookup_service_account, "@${var.project_id}.iam.gserviceaccount.com")
    error_message = "lookup_service_account must be an account of project_id: this module makes it."
  }
}

variable "trigger_service_account" {
  description = "Account that Pub/Sub calls the function as."
  type        = string

  validation {
    condition     = endswith(var.trigger_service_account, "@${var.project_id}.iam.gserviceaccount.com")
    error_message = "trigger_service_account must be an account of project_id: this module makes it."
  }
}

variable "build_service_account" {
  description = "Account that builds the function's image."
  type        = string

  validation {
    condition     = endswith(var.build_service_account, "@${var.project_id}.iam.gserviceaccount.com")
    error_message = "build_service_account must be an account of project_id: this module makes it."
  }
}

variable "pipeline_service_account" {
  description = "Account that runs cloudbuild.yaml and deploys. Empty: none is made."
  type        = string
  default     = ""

  validation {
    condition     = var.pipeline_service_account == "" || endswith(var.pipeline_service_account, "@${var.project_id}.iam.gserviceaccount.com")
    error_message = "pipeline_service_account must be an account of project_id: this module makes it."
  }
}

variable "shared_subnet" {
  description = "Subnet of a Shared VPC that the function's traffic leaves from: `projects/HOST/regions/R/subnetworks/S`. Empty: the network is in project_id."
  type        = string
  default     = ""

  validation {
    condition     = var.shared_subnet == "" || can(regex("^projects/[^/]+/regions/[^/]+/subnetworks/[^/]+$", var.shared_subnet))
    error_message = "shared_subnet must be projects/HOST/regions/R/subnetworks/S."
  }
}

# --- topics ---

variable "trigger_topic" {
  description = "Topic of the events: its name, or `projects/P/topics/T`."
  type        = string

  validation {
    condition     = !startswith(var.trigger_topic, "projects/") || startswith(var.trigger_topic, "projects/${var.project_id}/topics/")
    error_message = "trigger_topic must be a topic of project_id: this module makes it."
  }
}

variable "dead_letter_topic" {
  description = "Topic of the events that the function found to be bad: `projects/P/topics/T`."
  type        = string

  validation {
    condition     = startswith(var.dead_letter_topic, "projects/${var.project_id}/topics/")
    error_message = "dead_letter_topic must be projects/P/topics/T with project_id as P: this module makes it."
  }
}

variable "undelivered_topic" {
  description = "Topic of the events that Pub/Sub gave up delivering: `projects/P/topics/T`."
  type        = string

  validation {
    condition     = startswith(var.undelivered_topic, "projects/${var.project_id}/topics/")
    error_message = "undelivered_topic must be projects/P/topics/T with project_id as P: this module makes it."
  }

  validation {
    condition     = length(distinct([for topic in [var.trigger_topic, var.dead_letter_topic, var.undelivered_topic] : reverse(split("/", topic))[0]])) == 3
    error_message = "trigger_topic, dead_letter_topic and undelivered_topic must be three topics: an event would come back to where it failed."
  }
}

variable "publishers" {
  description = "Members that may publish events, such as `serviceAccount:shop@P.iam.gserviceaccount.com`."
  type        = list(string)
  default     = []

  validation {
    condition     = length(setintersection(var.publishers, ["allUsers", "allAuthenticatedUsers"])) == 0
    error_message = "publishers must name members: allUsers and allAuthenticatedUsers would let everyone publish."
  }
}

variable "event_schema" {
  description = "Schema that Pub/Sub checks every event against: `type` (AVRO or PROTOCOL_BUFFER), `definition` and `encoding` (JSON or BINARY). Null: no schema; the function checks events by pipeline.toml."
  type = object({
    type       = string
    definition = string
    encoding   = optional(string, "JSON")
  })
  default = null
}

variable "storage_regions" {
  description = "Regions in which Pub/Sub may keep messages. Empty: region alone."
  type        = list(string)
  default     = []
}

variable "enforce_in_transit" {
  description = "Whether Pub/Sub refuses publishers and subscribers that reach it in another region. They must then use the regional endpoint."
  type        = bool
  default     = false
}

# --- table ---

variable "bigquery_table" {
  description = "Table of the rows: `PROJECT.DATASET.TABLE`."
  type        = string

  validation {
    condition     = can(regex("^[^.]+\\.\\w+\\.[\\w-]+$", var.bigquery_table)) && startswith(var.bigquery_table, "${var.project_id}.")
    error_message = "bigquery_table must be PROJECT.DATASET.TABLE with project_id as PROJECT: this module makes it."
  }
}

variable "bigquery_location" {
  description = "Location of the dataset, such as `EU`. Empty: region."
  type        = string
  default     = ""
}

variable "table_file" {
  description = "File with the table's columns; beside NAME.json lies NAME_layout.json with partition and clustering. Empty: function/enrichment/table.json of this repository."
  type        = string
  default     = ""
}

variable "view_columns" {
  description = "Columns that the de-duplicating view uses: `event` names an event, `order` puts the row first that stays. They follow from pipeline.toml: `python -m enrichment sql deduplicated_view` prints them."
  type = object({
    event = list(string)
    order = list(string)
  })
  default = {
    event = ["event_id"]
    order = ["enriched_at", "publish_time", "message_id", "trace_id"]
  }
}

variable "table_readers" {
  description = "Members that may read the table and its view."
  type        = list(string)
  default     = []

  validation {
    condition     = length(setintersection(var.table_readers, ["allUsers", "allAuthenticatedUsers"])) == 0
    error_message = "table_readers must name members: allUsers and allAuthenticatedUsers would publish the rows."
  }
}

variable "dead_letters_in_bigquery" {
  description = "Whether a second subscription writes dead letters into a table, for the report `dead_letter_report`."
  type        = bool
  default     = false
}

# --- how the function proves who it is ---

variable "mesh_auth" {
  description = "`google-id-token`: Google issues the token and there is no key. `signed-jwt`: the function signs with a key."
  type        = string
  default     = "signed-jwt"

  validation {
    condition     = contains(["signed-jwt", "google-id-token"], var.mesh_auth)
    error_message = "mesh_auth must be signed-jwt or google-id-token."
  }
}

variable "signing_key" {
  description = "Where the key of signed-jwt lives: `secret` (Secret Manager; what the function reads) or `kms` (Cloud KMS signs and the key never leaves it; for callers that use the SDK's `KMSKey`)."
  type        = string
  default     = "secret"

  validation {
    condition     = contains(["secret", "kms"], var.signing_key)
    error_message = "signing_key must be secret or kms."
  }
}

variable "kms_protection_level" {
  description = "Protection of the Cloud KMS key: SOFTWARE or HSM."
  type        = string
  default     = "HSM"

  validation {
    condition     = contains(["SOFTWARE", "HSM"], var.kms_protection_level)
    error_message = "kms_protection_level must be SOFTWARE or HSM."
  }
}

variable "signing_key_secret_id" {
  description = "Version of the signing key's secret: `projects/P/secrets/S/versions/V`. Needed with signed-jwt and signing_key `secret`."
  type        = string
  default     = ""

  validation {
    condition     = var.mesh_auth != "signed-jwt" || var.signing_key != "secret" || startswith(var.signing_key_secret_id, "projects/${var.project_id}/secrets/")
    error_message = "signing_key_secret_id must be projects/P/secrets/S/versions/V with project_id as P. A regional secret (projects/P/locations/...) is not made here: make it yourself and grant roles/secretmanager.secretAccessor on it."
  }
}

variable "gateway_ca_secret" {
  description = "Secret of the gateway's CA certificate: its name, or `projects/P/secrets/S`, with or without a version. Empty: the gateway's certificate is of a public CA."
  type        = string
  default     = ""
}

variable "create_gateway_ca_secret" {
  description = "Whether this module makes the secret of gateway_ca_secret. False where the module gateway-endpoint makes it."
  type        = bool
  default     = true
}

variable "pseudonym_key_secret_id" {
  description = "Version of the secret with the key of hmac_sha256(): `projects/P/secrets/S/versions/V`. Empty: pipeline.toml does not call it."
  type        = string
  default     = ""

  validation {
    condition     = var.pseudonym_key_secret_id == "" || startswith(var.pseudonym_key_secret_id, "projects/${var.project_id}/secrets/")
    error_message = "pseudonym_key_secret_id must be projects/P/secrets/S/versions/V with project_id as P. A regional secret (projects/P/locations/...) is not made here: make it yourself and grant roles/secretmanager.secretAccessor on it."
  }
}

# --- images ---

variable "artifact_repository" {
  description = "Artifact Registry repository of the function's images."
  type        = string
  default     = "meshpass"
}

variable "immutable_tags" {
  description = "Whether a tag can never be moved to another image. False for gcloud functions deploy, whose builder moves the tag `latest` of image and cache with each build; true where images are built by a pipeline of your own."
  type        = bool
  default     = false
}

variable "kept_images" {
  description = "Number of newest images that the cleanup keeps of each function, so that a roll-back finds its image."
  type        = number
  default     = 20
}

# --- logs, alerts, costs ---

variable "keep_request_logs_apart" {
  description = "Whether logs whose paths hold lookup keys (Cloud Run's request log of lookup, the mesh's access logs) go to a dataset of their own, with few readers and an expiry, and are kept out of the `_Default` log bucket."
  type        = bool
  default     = true
}

variable "request_log_days" {
  description = "Days for which the logs with keys in their paths are kept."
  type        = number
  default     = 30

  validation {
    condition     = var.request_log_days >= 1
    error_message = "request_log_days must be at least 1."
  }
}

variable "request_log_readers" {
  description = "Members that may read the logs with keys in their paths."
  type        = list(string)
  default     = []

  validation {
    condition     = length(setintersection(var.request_log_readers, ["allUsers", "allAuthenticatedUsers"])) == 0
    error_message = "request_log_readers must name members: allUsers and allAuthenticatedUsers would publish the keys."
  }
}

variable "alerts_directory" {
  description = "Directory of the alert policies. Empty: deploy/alerts of this repository."
  type        = string
  default     = ""
}

variable "notification_emails" {
  description = "E-mail addresses that alerts and the budget notify."
  type        = list(string)
  default     = []
}

variable "notification_channels" {
  description = "Further notification channels, which exist: `projects/P/notificationChannels/ID`."
  type        = list(string)
  default     = []
}

variable "billing_account" {
  description = "Billing account of the budget, such as `012345-6789AB-CDEF01`. Empty: no budget."
  type        = string
  default     = ""
}

variable "monthly_budget" {
  description = "Budget of the project for a month, in whole units of the billing account's currency."
  type        = number
  default     = 100
}
