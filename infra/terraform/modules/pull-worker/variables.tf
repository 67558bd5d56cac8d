variable "project_id" {
  description = "Project of all of it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be the id of a project: 6 to 30 lower-case letters, digits and hyphens."
  }
}

variable "project_number" {
  description = "Number of the project, for the address of Pub/Sub's service agent. Read it in the root."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region of the worker pool and of the images."
  type        = string
  nullable    = false
}

variable "labels" {
  description = "Labels of every resource that takes labels."
  type        = map(string)
  default     = { app = "meshpass" }
  nullable    = false
}

variable "name" {
  description = "Name of the worker."
  type        = string
  nullable    = false
}

variable "service_account" {
  description = "E-mail address of the account that is made for it, in this project."
  type        = string
  nullable    = false

  validation {
    condition     = endswith(var.service_account, "@${var.project_id}.iam.gserviceaccount.com")
    error_message = "service_account must be NAME@PROJECT.iam.gserviceaccount.com of project_id: the account is made here."
  }
}

variable "subscription" {
  description = "Name of the subscription that is made for it."
  type        = string
  nullable    = false
}

variable "trigger_topic" {
  description = "Topic of the events: its name, or its full name in this project."
  type        = string
  nullable    = false
}

variable "dead_letter_topic" {
  description = "Full name of the topic to which the worker publishes bad events."
  type        = string
  nullable    = false
}

variable "undelivered_topic" {
  description = "Full name of the topic to which Pub/Sub hands events that it gave up delivering. Its agent must be able to publish there."
  type        = string
  nullable    = false
}

variable "delivery" {
  description = "How the subscription delivers: the ack deadline that an event has at first, ordering by key, exactly-once delivery, backoff between attempts, attempts, and how long an event is kept. Ordering and exactly-once cost throughput: docs/run-elsewhere.md."
  type = object({
    ack_deadline_s        = optional(number, 60)
    ordering              = optional(bool, false)
    exactly_once          = optional(bool, false)
    min_retry_delay_s     = optional(number, 10)
    max_retry_delay_s     = optional(number, 600)
    max_delivery_attempts = optional(number, 100)
    retention_s           = optional(number, 604800)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.delivery.ack_deadline_s >= 10 && var.delivery.ack_deadline_s <= 600
    error_message = "delivery.ack_deadline_s must be 10 to 600 seconds."
  }

  validation {
    condition     = var.delivery.min_retry_delay_s >= 0 && var.delivery.min_retry_delay_s <= var.delivery.max_retry_delay_s && var.delivery.max_retry_delay_s <= 600
    error_message = "delivery.min_retry_delay_s must be 0 or more, and not above delivery.max_retry_delay_s, which is 600 at most."
  }

  validation {
    condition     = var.delivery.max_delivery_attempts >= 5 && var.delivery.max_delivery_attempts <= 100
    error_message = "delivery.max_delivery_attempts must be 5 to 100."
  }

  validation {
    condition     = var.delivery.retention_s >= 600 && var.delivery.retention_s <= 2678400
    error_message = "delivery.retention_s must be 10 minutes to 31 days, in seconds."
  }
}

variable "bigquery_table" {
  description = "Table of the rows, PROJECT.DATASET.TABLE, in this project."
  type        = string
  nullable    = false
}

variable "secrets" {
  description = "Secrets that the worker reads, by what they are for: `gateway_ca`, `signing_key`, `pseudonym_key`."
  type        = map(object({ project = string, secret = string }))
  default     = {}
  nullable    = false
}

variable "gateway_ca_version" {
  description = "Version of the gateway's CA that the worker pool mounts. An instance reads `latest` at its start."
  type        = string
  default     = "latest"
  nullable    = false
}

variable "image_repository" {
  description = "Artifact Registry repository of the images, in this project and region."
  type        = string
  nullable    = false
}

variable "deployers" {
  description = "Members that may deploy the worker, that is: act as its account."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.deployers : can(regex("^(serviceAccount|group|user):", member))])
    error_message = "deployers must be members that are someone: serviceAccount:, group: or user:."
  }
}

variable "image" {
  description = "Image of the worker, named by its digest. Empty: no worker pool is made."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = var.image == "" || can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image must end in @sha256:DIGEST: a tag can be moved to other bytes, and a new instance would run them."
  }

  validation {
    condition     = var.image == "" || length(var.environment) > 0
    error_message = "environment must be set with image: deploy/environment --for=work --format=tfvars prints it."
  }
}

variable "environment" {
  description = "Environment of the worker, without secrets: `deploy/environment --for=work --format=tfvars` prints it."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = lookup(var.environment, "GKE_GATEWAY_CA_FILE", "") == "" || contains(keys(var.secrets), "gateway_ca")
    error_message = "environment names GKE_GATEWAY_CA_FILE, so secrets must name gateway_ca: the secret becomes that file."
  }

  validation {
    condition     = length(setintersection(keys(var.environment), ["SIGNING_KEY_FILE", "PSEUDONYM_KEY_FILE"])) == 0
    error_message = "environment must name keys by SIGNING_KEY_SECRET_ID and PSEUDONYM_KEY_SECRET_ID: the pool mounts the CA alone."
  }
}

variable "instances" {
  description = "Instances of the worker pool, always."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.instances >= 1 && floor(var.instances) == var.instances
    error_message = "instances must be a whole number of 1 or more."
  }
}

variable "cpu" {
  description = "vCPUs of one instance. The worker is one process, so more than one vCPU brings little."
  type        = string
  default     = "1"
  nullable    = false
}

variable "memory" {
  description = "Memory of one instance."
  type        = string
  default     = "512Mi"
  nullable    = false
}

variable "health_port" {
  description = "Port at which the worker answers /live and /ready."
  type        = number
  default     = 8080
  nullable    = false
}

variable "launch_stage" {
  description = "Launch stage of worker pools, where the project or provider asks for one, such as `BETA`."
  type        = string
  default     = null
}

variable "network" {
  description = "VPC network of the worker pool: its name, or its full name of a Shared VPC."
  type        = string
  nullable    = false
}

variable "subnet" {
  description = "Subnet that instances take their addresses from, two each. The gateway must admit its range."
  type        = string
  nullable    = false
}

variable "notification_channels" {
  description = "Notification channels of the alert policies."
  type        = list(string)
  default     = []
  nullable    = false
}
