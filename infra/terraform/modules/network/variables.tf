variable "project_id" {
  description = "Project of the network. With a Shared VPC this is the host project."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be the id of a project: 6 to 30 lower-case letters, digits and hyphens."
  }
}

variable "region" {
  description = "Region of the subnets, the router and the addresses."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region such as europe-west1."
  }
}

variable "name" {
  description = "Name of the network, and the beginning of the names of what belongs to it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,39}[a-z0-9]$", var.name))
    error_message = "name must have 2 to 41 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "node_range" {
  description = "Primary range of the cluster's subnet, in which the address of the gateway lies."
  type        = string
  nullable    = false

  validation {
    condition     = try(cidrsubnet(var.node_range, 0, 0) == var.node_range, false)
    error_message = "node_range must be a range such as 10.128.0.0/20, named by its first address."
  }
}

variable "pod_range" {
  description = "Secondary range for the cluster's pods."
  type        = string
  nullable    = false

  validation {
    condition     = try(cidrsubnet(var.pod_range, 0, 0) == var.pod_range, false)
    error_message = "pod_range must be a range such as 10.64.0.0/20, named by its first address."
  }
}

variable "service_range" {
  description = "Secondary range for the cluster's Services."
  type        = string
  nullable    = false

  validation {
    condition     = try(cidrsubnet(var.service_range, 0, 0) == var.service_range, false)
    error_message = "service_range must be a range such as 10.72.0.0/20, named by its first address."
  }
}

variable "control_plane_range" {
  description = "Range of the subnet in which the cluster's control plane gets its one private address. NetworkPolicies name it as `apiServer`."
  type        = string
  default     = "10.5.0.0/28"
  nullable    = false

  validation {
    condition     = try(cidrsubnet(var.control_plane_range, 0, 0) == var.control_plane_range && tonumber(split("/", var.control_plane_range)[1]) >= 24, false)
    error_message = "control_plane_range must be a range of /24 or narrower, such as 10.5.0.0/28."
  }
}

variable "direct_egress" {
  description = "Subnet that the function's traffic leaves from with Direct VPC egress: its name and its range, /24 to /26. Null makes none."
  type = object({
    subnet = string
    range  = string
  })
  default = null

  validation {
    condition     = var.direct_egress == null || try(cidrsubnet(var.direct_egress.range, 0, 0) == var.direct_egress.range && contains(["24", "25", "26"], split("/", var.direct_egress.range)[1]), false)
    error_message = "direct_egress.range must be /24, /25 or /26: Direct VPC egress needs a /26, and the gateway takes callers from nothing wider than a /24."
  }

  validation {
    condition     = var.direct_egress != null || var.connector != null
    error_message = "direct_egress or connector must be set: without one of them the function has no way to the gateway."
  }
}

variable "connector" {
  description = "Serverless VPC Access connector in place of Direct VPC egress, or beside it while a function changes over: its name and its /28. Null makes none."
  type = object({
    name          = string
    range         = string
    machine_type  = optional(string, "e2-micro")
    max_instances = optional(number, 3)
  })
  default = null

  validation {
    condition     = var.connector == null || try(cidrsubnet(var.connector.range, 0, 0) == var.connector.range && endswith(var.connector.range, "/28"), false)
    error_message = "connector.range must be a /28, such as 10.8.1.0/28: a connector takes no other size."
  }

  validation {
    condition     = var.connector == null || try(can(regex("^[a-z]([a-z0-9-]*[a-z0-9])?$", var.connector.name)) && length(replace(var.connector.name, "-", "--")) < 21, false)
    error_message = "connector.name must have less than 21 lower-case letters, digits and hyphens, and a hyphen counts twice: Google refuses a longer name."
  }
}

variable "proxy_range" {
  description = "Range of the proxy-only subnet that an internal Application Load Balancer needs. Null makes none."
  type        = string
  default     = null

  validation {
    condition     = var.proxy_range == null || try(cidrsubnet(var.proxy_range, 0, 0) == var.proxy_range && tonumber(split("/", var.proxy_range)[1]) <= 26, false)
    error_message = "proxy_range must be a range of /26 or wider, such as 10.9.0.0/23."
  }
}

variable "further_ranges" {
  description = "Ranges of subnets in this network that others make, by any name. They are compared with the ranges here."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "gateway_address" {
  description = "Address of the mesh's internal gateway, inside `node_range`."
  type        = string
  nullable    = false

  validation {
    condition     = can(cidrhost("${var.gateway_address}/32", 0))
    error_message = "gateway_address must be an IPv4 address."
  }
}

variable "application_node_account" {
  description = "E-mail address of the service account of the nodes that run applications and the internal gateway."
  type        = string
  nullable    = false
}

variable "gateway_node_account" {
  description = "E-mail address of the service account of the egress gateway's nodes, the only ones that reach the internet."
  type        = string
  nullable    = false
}

variable "dataflow_worker_account" {
  description = "E-mail address of the account of Dataflow's workers, which may exchange data inside the function's subnet. Empty: there are none."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = var.dataflow_worker_account == "" || var.direct_egress != null
    error_message = "dataflow_worker_account needs direct_egress: workers take addresses of its subnet."
  }
}

variable "google_apis_host" {
  description = "Which of Google's names for its APIs DNS, route and firewall use: private.googleapis.com, or restricted.googleapis.com inside VPC Service Controls."
  type        = string
  default     = "private.googleapis.com"
  nullable    = false

  validation {
    condition     = contains(["private.googleapis.com", "restricted.googleapis.com"], var.google_apis_host)
    error_message = "google_apis_host must be private.googleapis.com or restricted.googleapis.com."
  }
}

variable "google_domains" {
  description = "Domains of Google that resolve to the one virtual address. Add run.app where a caller in the network calls the lookup without a load balancer."
  type        = list(string)
  default     = ["googleapis.com", "gcr.io", "pkg.dev"]
  nullable    = false

  validation {
    condition     = alltrue([for domain in ["googleapis.com", "gcr.io", "pkg.dev"] : contains(var.google_domains, domain)])
    error_message = "google_domains must have googleapis.com, gcr.io and pkg.dev: nodes pull their images from there and have no other way."
  }
}

variable "egress_ports" {
  description = "TCP ports that the egress gateway's nodes reach in the internet: 443, and the `port`s in the teams' files."
  type        = list(number)
  default     = [443]
  nullable    = false

  validation {
    condition     = length(var.egress_ports) > 0 && alltrue([for port in var.egress_ports : port > 0 && port < 65536 && port != 80])
    error_message = "egress_ports must be ports other than 80: nothing leaves in plaintext."
  }
}

variable "nat" {
  description = "Cloud NAT of the egress gateway: how many reserved addresses, how many ports each node has at least and at most, and how many nodes the subnet has at most. NAT keeps ports for those of applications as well."
  type = object({
    addresses = optional(number, 2)
    min_ports = optional(number, 1024)
    max_ports = optional(number, 8192)
    nodes     = optional(number, 24)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.nat.min_ports >= 1024 && var.nat.max_ports >= 2 * var.nat.min_ports && contains([for bits in range(5, 17) : pow(2, bits)], var.nat.min_ports) && contains([for bits in range(5, 17) : pow(2, bits)], var.nat.max_ports)
    error_message = "nat.min_ports must be a power of two of 1024 or more, and nat.max_ports one that is greater."
  }

  validation {
    # 64,512 ports of an address can be used: those above 1023.
    condition     = var.nat.addresses * floor(64512 / var.nat.min_ports) >= var.nat.nodes
    error_message = "nat.addresses must give each of nat.nodes its nat.min_ports: an address has 64512."
  }
}

variable "outbound_resolvers" {
  description = "Private addresses of DNS resolvers that filter names, in a network that Cloud VPN or Interconnect connects. All names without a zone in the network go to them. Empty leaves the public resolution of Cloud DNS."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    # Cloud DNS takes no public address with private routing: https://docs.cloud.google.com/dns/docs/zones/zones-overview
    condition     = alltrue([for address in var.outbound_resolvers : can(cidrhost("${address}/32", 0)) && can(regex("^(10|172\\.(1[6-9]|2[0-9]|3[01])|192\\.168|100\\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7]))\\.", address))])
    error_message = "outbound_resolvers must be private IPv4 addresses: queries to a public one would leave over the internet, past the firewall."
  }
}

variable "function_subnet_users" {
  description = "Members with the right to use the function's or the connector's subnet from a service project (Shared VPC), such as Cloud Run's service agent."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.function_subnet_users : can(regex("^serviceAccount:", member))])
    error_message = "function_subnet_users must be service accounts, each with the prefix serviceAccount:."
  }
}

variable "node_subnet_users" {
  description = "Members with the right to use the cluster's and the control plane's subnets from a service project (Shared VPC): GKE's service agent and the Google APIs service agent."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.node_subnet_users : can(regex("^serviceAccount:", member))])
    error_message = "node_subnet_users must be service accounts, each with the prefix serviceAccount:."
  }
}
