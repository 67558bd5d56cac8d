variable "project_id" {
  description = "Project of lookup, the producer."
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
  description = "Region of lookup."
  type        = string
}

variable "labels" {
  description = "Labels of every resource that takes labels."
  type        = map(string)
  default     = { app = "meshpass" }
}

variable "service" {
  description = "Cloud Run service of lookup; it has the function's name."
  type        = string
}

variable "service_deployed" {
  description = "True once `deploy/deploy --entry-point=lookup` has made the service. Then the grants of invokers are made."
  type        = bool
  default     = false
}

variable "host" {
  description = "Name that callers connect to, such as `lookup.internal`. The certificate and the DNS zones are for it."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z0-9-]+$", var.host))
    error_message = "host must be a DNS name of two labels or more, in lower case."
  }
}

# --- the producer's network ---

variable "network" {
  description = "VPC network of the load balancer: its self link."
  type        = string
}

variable "subnet" {
  description = "Subnet that the load balancer's address is taken from: its self link."
  type        = string
}

variable "proxy_subnet" {
  description = "Proxy-only subnet of the network in this region (purpose REGIONAL_MANAGED_PROXY): its self link. The load balancer's proxies get their addresses there."
  type        = string
}

variable "psc_range" {
  description = "Range of the subnet that callers of other projects appear from (purpose PRIVATE_SERVICE_CONNECT), private and at most /24."
  type        = string

  validation {
    condition     = can(cidrhost(var.psc_range, 0)) && can(regex("^(10\\.|192\\.168\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.)", var.psc_range)) && try(tonumber(split("/", var.psc_range)[1]) >= 24, false)
    error_message = "psc_range must be a private range (RFC 1918) of /24 or smaller."
  }
}

# --- the certificate: one of both ---

variable "certificates" {
  description = "Certificates for host that exist: Certificate Manager's regional ones, `projects/P/locations/R/certificates/C`. Empty: one is issued by ca_pool."
  type        = list(string)
  default     = []
}

variable "ca_pool" {
  description = "CA pool of Certificate Authority Service that issues and renews a certificate for host: `projects/P/locations/R/caPools/POOL`. Empty: certificates names one."
  type        = string
  default     = ""

  validation {
    condition     = (var.ca_pool == "") != (length(var.certificates) == 0)
    error_message = "Set either certificates or ca_pool: a target proxy needs a certificate, and two sources of one contradict each other."
  }
}

# --- which callers are accepted ---

variable "invokers" {
  description = "Members of other projects that may call lookup: `serviceAccount:`, `group:`, `user:`, `principal://`, `principalSet://`. Those of LOOKUP_INVOKERS are granted by deploy/deploy, and do not belong here."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.invokers : can(regex("^((serviceAccount|group|user):[^\\s,]+|principal(Set)?://iam\\.googleapis\\.com/[^\\s,]+)$", member))])
    error_message = "invokers must name members: serviceAccount:, group:, user:, principal:// or principalSet://. allUsers and allAuthenticatedUsers are refused, because then every Google account could read profiles."
  }
}

variable "consumers" {
  description = "Projects that may connect, by project id or number. `connection_limit` is the number of endpoints. With `endpoint` the endpoint, its address and its DNS record are made in that project, for which the provider's account needs `roles/compute.networkAdmin` and `roles/dns.admin` there."
  type = map(object({
    connection_limit = optional(number, 1)
    endpoint = optional(object({
      network = string
      subnet  = string
    }))
  }))
  default = {}

  validation {
    condition     = alltrue([for project in keys(var.consumers) : can(regex("^([a-z][a-z0-9-]{4,28}[a-z0-9]|[0-9]+)$", project))])
    error_message = "consumers must be keyed by project ids or numbers."
  }
}

variable "log_requests" {
  description = "Whether the load balancer logs each request. Its log has the paths, and so the lookup keys: keep it apart as docs/deploy.md says of the request log."
  type        = bool
  default     = false
}
