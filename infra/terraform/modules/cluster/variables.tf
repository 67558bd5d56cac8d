variable "project_id" {
  description = "Project of the cluster and of its nodes' accounts."
  type        = string
  nullable    = false
}

variable "project_number" {
  description = "Number of the project, for the address of GKE's service agent. Needed with `secrets_key`."
  type        = string
  default     = null

  validation {
    condition     = var.project_number == null || can(regex("^[0-9]+$", var.project_number))
    error_message = "project_number must be digits."
  }

  validation {
    condition     = var.secrets_key == null || var.project_number != null
    error_message = "secrets_key needs project_number: GKE's service agent, which uses the key, is named by it."
  }
}

variable "region" {
  description = "Region of the cluster. Control plane and nodes are spread over its zones."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region such as europe-west1, not a zone: a zonal control plane is away during each of its upgrades."
  }
}

variable "name" {
  description = "Name of the cluster, and the beginning of its nodes' accounts."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,15}[a-z0-9]$", var.name))
    error_message = "name must have 2 to 17 lower-case letters, digits and hyphens, so that NAME-applications is a valid account."
  }
}

variable "network" {
  description = "Full name of the network."
  type        = string
  nullable    = false
}

variable "node_subnet" {
  description = "Full name of the subnet of nodes, pods and Services."
  type        = string
  nullable    = false
}

variable "pod_range_name" {
  description = "Name of the subnet's secondary range for pods."
  type        = string
  default     = "pods"
  nullable    = false
}

variable "service_range_name" {
  description = "Name of the subnet's secondary range for Services."
  type        = string
  default     = "services"
  nullable    = false
}

variable "control_plane_subnet" {
  description = "Full name of the subnet in which the control plane gets its one private address."
  type        = string
  nullable    = false
}

variable "release_channel" {
  description = "Channel that upgrades come from."
  type        = string
  default     = "REGULAR"
  nullable    = false

  validation {
    condition     = contains(["RAPID", "REGULAR", "STABLE", "EXTENDED"], var.release_channel)
    error_message = "release_channel must be RAPID, REGULAR, STABLE or EXTENDED: without a channel nothing is patched."
  }
}

variable "maintenance" {
  description = "When upgrades may begin: the first window (RFC 3339, UTC) and how it repeats (RFC 5545)."
  type = object({
    start      = optional(string, "2026-01-03T01:00:00Z")
    end        = optional(string, "2026-01-03T07:00:00Z")
    recurrence = optional(string, "FREQ=WEEKLY;BYDAY=SA,SU")
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(timecmp(var.maintenance.start, var.maintenance.end)) && try(timecmp(timeadd(var.maintenance.start, "4h"), var.maintenance.end) <= 0, false)
    error_message = "maintenance.start and end must be times such as 2026-01-03T01:00:00Z, four hours apart at least: GKE counts no shorter window."
  }

  validation {
    # GKE refuses less than 48 hours in any 32 days, in which each weekday comes four times at least.
    condition = !startswith(var.maintenance.recurrence, "FREQ=WEEKLY;BYDAY=") || try(
      timecmp(timeadd(var.maintenance.start, "${ceil(12 / length(split(",", split("=", var.maintenance.recurrence)[2])) * 60)}m"), var.maintenance.end) <= 0,
      false,
    )
    error_message = "maintenance must have 12 hours a week at least, such as 6 on each of two days: GKE needs 48 hours of windows in any 32 days."
  }
}

variable "application_nodes" {
  description = "Pool of the nodes for applications and the internal gateway: machine type, disk, and nodes in each zone."
  type = object({
    machine_type = optional(string, "e2-standard-4")
    disk_size_gb = optional(number, 100)
    min_per_zone = optional(number, 1)
    max_per_zone = optional(number, 4)
  })
  default  = {}
  nullable = false
}

variable "gateway_nodes" {
  description = "Pool of the nodes for the egress gateway: machine type, disk, and nodes in each zone."
  type = object({
    machine_type = optional(string, "e2-standard-2")
    disk_size_gb = optional(number, 50)
    min_per_zone = optional(number, 1)
    max_per_zone = optional(number, 3)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.gateway_nodes.min_per_zone >= 1
    error_message = "gateway_nodes.min_per_zone must be 1 or more: the gateway has to run in two zones at least."
  }
}

variable "zones" {
  description = "Zones of the nodes; empty for all that GKE picks. Two at least."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.zones) != 1
    error_message = "zones must be empty, or two zones at least: one zone that fails would take every gateway."
  }
}

variable "internet_tag" {
  description = "Network tag with a route to the internet. The egress gateway's nodes get it, and no others."
  type        = string
  nullable    = false
}

variable "image_repositories" {
  description = "Artifact Registry repositories that nodes pull images from, by any name."
  type = map(object({
    project    = string
    location   = string
    repository = string
  }))
  default  = {}
  nullable = false
}

variable "trusted_images" {
  description = "Patterns of images that may run, such as europe-west1-docker.pkg.dev/PROJECT/REPOSITORY/*. All others are refused. Empty leaves the project's Binary Authorization policy as it is."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for pattern in var.trusted_images : can(regex("^[a-z0-9.-]+/.+", pattern)) && !startswith(pattern, "*")])
    error_message = "trusted_images must be patterns with a registry and a path; a pattern for every registry trusts every image."
  }
}

variable "secrets_key" {
  description = "Cloud KMS key (full name, same region) that Kubernetes Secrets are encrypted with. Null leaves Google's own encryption."
  type        = string
  default     = null

  validation {
    condition     = var.secrets_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.secrets_key))
    error_message = "secrets_key must be projects/P/locations/L/keyRings/R/cryptoKeys/K."
  }
}

variable "security_group" {
  description = "Google group whose nested groups may be named in Kubernetes RBAC: gke-security-groups@DOMAIN. Null leaves groups out."
  type        = string
  default     = null

  validation {
    condition     = var.security_group == null || can(regex("^gke-security-groups@[a-z0-9.-]+$", var.security_group))
    error_message = "security_group must be gke-security-groups@DOMAIN: GKE takes no other name."
  }
}

variable "fleet_project_id" {
  description = "Project of the fleet that the cluster joins. Null joins none."
  type        = string
  default     = null
}

variable "managed_mesh" {
  description = "Whether Google runs the mesh's control plane (managed Cloud Service Mesh). False where istiod runs in the cluster: `controlPlane.mode` of infra/mesh/environments."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.managed_mesh || var.fleet_project_id != null
    error_message = "managed_mesh needs fleet_project_id: the control plane belongs to a fleet."
  }
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the cluster."
  type        = bool
  default     = true
  nullable    = false
}
