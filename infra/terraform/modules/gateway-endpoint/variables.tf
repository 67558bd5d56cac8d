variable "project_id" {
  description = "Project of the address, the certificate authority and the secret."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region of the cluster. An internal load balancer serves its own region."
  type        = string
  nullable    = false
}

variable "name" {
  description = "Beginning of the names of what is made."
  type        = string
  default     = "meshpass-gateway"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,39}[a-z0-9]$", var.name))
    error_message = "name must have 2 to 41 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "network" {
  description = "Full name of the network in which the names of the gateway resolve."
  type        = string
  nullable    = false
}

variable "node_subnet" {
  description = "Full name of the cluster's subnet. The load balancer takes its address from there."
  type        = string
  nullable    = false
}

variable "address" {
  description = "Address of the gateway (GKE_GATEWAY_ADDRESS). Null lets Google pick one, which the output gives back."
  type        = string
  default     = null

  validation {
    condition     = var.address == null || can(cidrhost("${var.address}/32", 0))
    error_message = "address must be an IPv4 address."
  }
}

variable "hosts" {
  description = "Virtual hosts behind the gateway (GKE_GATEWAY_HOST, ORDERS_HOST). Each gets a zone and a record, and the authority certifies these names alone."
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.hosts) > 0 && alltrue([for host in var.hosts : can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", host))])
    error_message = "hosts must be DNS names of two labels at least, in lower case and without wildcards."
  }

  validation {
    condition     = alltrue([for host in var.hosts : length(host) <= 63]) && length(distinct([for host in var.hosts : replace(host, ".", "-")])) == length(var.hosts)
    error_message = "hosts must have at most 63 characters and differ in more than dots and hyphens: each zone is named after its host."
  }

  validation {
    # Why: a zone hides all names below it. These hold the metadata server, machines' own names, and Google's APIs.
    condition     = alltrue([for host in var.hosts : !can(regex("(^|\\.)(google\\.internal|googleapis\\.com|gcr\\.io|pkg\\.dev)$", host)) && !startswith(host, "c.")])
    error_message = "hosts must not be google.internal, c.*.internal or a domain of Google's APIs: the zone would hide them from the whole network."
  }
}

variable "certificate_domains" {
  description = "Domains that the authority may ever certify names in. It is part of the authority's own certificate: another list replaces the authority."
  type        = list(string)
  default     = ["internal"]
  nullable    = false

  validation {
    condition     = alltrue([for host in var.hosts : anytrue([for domain in var.certificate_domains : host == domain || endswith(host, ".${domain}")])])
    error_message = "certificate_domains must hold each of the hosts."
  }
}

variable "certificate_lifetime_days" {
  description = "Longest life of a certificate, in days."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.certificate_lifetime_days >= 1 && var.certificate_lifetime_days <= 90
    error_message = "certificate_lifetime_days must be 1 to 90: a certificate of the tier DEVOPS cannot be revoked, it can only end."
  }
}

variable "tier" {
  description = "Tier of the certificate authority: DEVOPS, or ENTERPRISE, which lists and revokes single certificates and costs ten times as much."
  type        = string
  default     = "DEVOPS"
  nullable    = false

  validation {
    condition     = contains(["DEVOPS", "ENTERPRISE"], var.tier)
    error_message = "tier must be DEVOPS or ENTERPRISE."
  }
}

variable "organization" {
  description = "Organization in the authority's own certificate."
  type        = string
  default     = "meshpass"
  nullable    = false
}

variable "ca_secret" {
  description = "Name of the secret that holds the authority's certificate (GKE_GATEWAY_CA_SECRET). The function mounts it."
  type        = string
  default     = "gateway-ca"
  nullable    = false
}

variable "ca_readers" {
  description = "Members that read the secret: the accounts of the functions."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.ca_readers : startswith(member, "serviceAccount:")])
    error_message = "ca_readers must be service accounts, each with the prefix serviceAccount:."
  }
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the certificate authority."
  type        = bool
  default     = true
  nullable    = false
}
