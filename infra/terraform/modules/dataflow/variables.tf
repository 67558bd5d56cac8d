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
  description = "Number of the project, for the address of Dataflow's service agent. Read it in the root."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region of the jobs, the bucket and the images."
  type        = string
  nullable    = false
}

variable "labels" {
  description = "Labels of every resource that takes labels."
  type        = map(string)
  default     = { app = "meshpass" }
  nullable    = false
}

variable "encryption_key" {
  description = "Cloud KMS key of the bucket. Null: Google's own encryption."
  type        = string
  default     = null
}

variable "job" {
  description = "Name of the streaming job. The names of backfills begin with it."
  type        = string
  nullable    = false
}

variable "service_account" {
  description = "E-mail address of the workers' account that is made, in this project."
  type        = string
  nullable    = false

  validation {
    condition     = endswith(var.service_account, "@${var.project_id}.iam.gserviceaccount.com")
    error_message = "service_account must be NAME@PROJECT.iam.gserviceaccount.com of project_id: the account is made here."
  }
}

variable "subscription" {
  description = "Name of the subscription that is made for the streaming job."
  type        = string
  nullable    = false
}

variable "trigger_topic" {
  description = "Topic of the events: its name, or its full name in this project."
  type        = string
  nullable    = false
}

variable "retention_s" {
  description = "How long the subscription keeps an event that is not acknowledged, in seconds: how long a job may be away."
  type        = number
  default     = 604800
  nullable    = false

  validation {
    condition     = var.retention_s >= 600 && var.retention_s <= 2678400
    error_message = "retention_s must be 10 minutes to 31 days, in seconds."
  }
}

variable "redriven_subscriptions" {
  description = "Subscriptions of dead letters and of undelivered events that a backfill may read and acknowledge, by name."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "dead_letter_topic" {
  description = "Full name of the topic to which workers publish bad events."
  type        = string
  nullable    = false
}

variable "bigquery_table" {
  description = "Table of the rows, PROJECT.DATASET.TABLE, in this project."
  type        = string
  nullable    = false
}

variable "source_tables" {
  description = "Tables that a backfill may read, PROJECT.DATASET.TABLE. With one, workers may run BigQuery jobs in this project."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for table in var.source_tables : length(split(".", table)) == 3])
    error_message = "source_tables must be PROJECT.DATASET.TABLE."
  }
}

variable "source_buckets" {
  description = "Buckets whose files a backfill may read, by name."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "secrets" {
  description = "Secrets that launcher and workers read, by what they are for: `gateway_ca`, `signing_key`, `pseudonym_key`."
  type        = map(object({ project = string, secret = string }))
  default     = {}
  nullable    = false
}

variable "image_repository" {
  description = "Artifact Registry repository of the template's image, in this project and region."
  type        = string
  nullable    = false
}

variable "bucket" {
  description = "Name of the bucket that is made."
  type        = string
  nullable    = false
}

variable "temporary_days" {
  description = "After how many days temporary files, and the sources of images, are deleted."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.temporary_days >= 7 && floor(var.temporary_days) == var.temporary_days
    error_message = "temporary_days must be a whole number of 7 or more: a job that runs needs its files."
  }
}

variable "worker_role" {
  description = "Role of the workers on the project. `roles/dataflow.worker` also reads and creates objects of every bucket; a custom role without its rights on Cloud Storage does not."
  type        = string
  default     = "roles/dataflow.worker"
  nullable    = false

  validation {
    condition     = can(regex("^(roles/dataflow[.]worker|(projects|organizations)/[a-z0-9-]+/roles/[A-Za-z0-9_.]{3,64})$", var.worker_role))
    error_message = "worker_role must be roles/dataflow.worker, or a custom role: projects/PROJECT/roles/NAME or organizations/NUMBER/roles/NAME."
  }
}

variable "launchers" {
  description = "Members that may launch, update, drain and cancel jobs, and so act as the workers' account."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.launchers : can(regex("^(serviceAccount|group|user):", member))])
    error_message = "launchers must be members that are someone: serviceAccount:, group: or user:."
  }
}

variable "subnet" {
  description = "Subnet that workers take their addresses from. Named in full it lies in the host project of a Shared VPC, and Dataflow's service agent may use it."
  type        = string
  nullable    = false
}

variable "notification_channels" {
  description = "Notification channels of the alert policies."
  type        = list(string)
  default     = []
  nullable    = false
}
