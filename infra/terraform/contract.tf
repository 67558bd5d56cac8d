# Generated from infra/contract/src/meshcontract/keys.py by `make manifests`: edit that file, not this one.
# Values come from infra/contract.env: deploy/contract --tfvars > contract.auto.tfvars.json

variable "mesh_auth" {
  type        = string
  description = "How the function proves who it is: google-id-token (recommended, no key anywhere), or signed-jwt (with a key)."
  default     = "signed-jwt"
  nullable    = false

  validation {
    condition     = can(regex("^(?:signed-jwt|google-id-token)$", var.mesh_auth))
    error_message = "MESH_AUTH must be one of signed-jwt, google-id-token. Write signed-jwt or google-id-token."
  }
}

variable "signing_key_secret_id" {
  type        = string
  description = "The secret with the signing key; needed with signed-jwt."
  default     = ""
  nullable    = false

  validation {
    condition     = var.signing_key_secret_id == "" || can(regex("^(?:projects/(?:(?:[a-z0-9.-]+:)?(?:[a-z][a-z0-9-]{4,28}[a-z0-9]|[0-9]{6,19}))/(?:locations/[a-z0-9-]+/)?secrets/[A-Za-z0-9_-]{1,255}/versions/[A-Za-z0-9_-]{1,255})$", var.signing_key_secret_id))
    error_message = "SIGNING_KEY_SECRET_ID must be the full name of a secret's version. Write projects/P/secrets/S/versions/V, or projects/P/locations/L/secrets/S/versions/V for a regional secret."
  }

  validation {
    condition     = !can(regex("^(?:projects/[^/]+/locations/secrets/)", var.signing_key_secret_id))
    error_message = "SIGNING_KEY_SECRET_ID must be the full name of a secret's version. Write projects/P/secrets/S/versions/V, or projects/P/locations/L/secrets/S/versions/V for a regional secret."
  }
}

variable "gke_gateway_host" {
  type        = string
  description = "The name of user-profile in URL, TLS and routes."
  nullable    = false

  validation {
    condition     = can(regex("^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:[.][a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*[.][a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)$", var.gke_gateway_host))
    error_message = "GKE_GATEWAY_HOST must be a host name. Write a host name in lower case, such as user-profile.internal."
  }

  validation {
    condition     = length(var.gke_gateway_host) <= 253
    error_message = "GKE_GATEWAY_HOST must be a host name. Write a host name in lower case, such as user-profile.internal."
  }
}

variable "gke_gateway_address" {
  type        = string
  description = "The address of the gateway's internal load balancer."
  default     = ""
  nullable    = false

  validation {
    condition     = var.gke_gateway_address == "" || can(regex("^(?:(?:10[.](?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])|172[.](?:1[6-9]|2[0-9]|3[01])|192[.]168|100[.](?:6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])|198[.]1[89]|(?:24[0-9]|25[0-4])[.](?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5]))(?:[.](?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])){2})$", var.gke_gateway_address))
    error_message = "GKE_GATEWAY_ADDRESS must be a private IPv4 address. Write a private IPv4 address, such as 10.128.0.5."
  }
}

variable "gke_gateway_ca_secret" {
  type        = string
  description = "The secret with the private CA of the gateway's certificate."
  default     = ""
  nullable    = false

  validation {
    condition     = var.gke_gateway_ca_secret == "" || can(regex("^(?:(?:projects/(?:(?:[a-z0-9.-]+:)?(?:[a-z][a-z0-9-]{4,28}[a-z0-9]|[0-9]{6,19}))/secrets/)?[A-Za-z0-9_-]{1,255}(?:(?::|/versions/)(?:latest|[1-9][0-9]*))?)$", var.gke_gateway_ca_secret))
    error_message = "GKE_GATEWAY_CA_SECRET must be a secret. Write SECRET, SECRET:VERSION or projects/P/secrets/S/versions/V, with a number or 'latest' as the version."
  }
}

variable "google_cloud_project" {
  type        = string
  description = "The project of all of it."
  nullable    = false

  validation {
    condition     = can(regex("^(?:[a-z][a-z0-9-]{4,28}[a-z0-9])$", var.google_cloud_project))
    error_message = "GOOGLE_CLOUD_PROJECT must be a project id. Write a project id, such as acme-mesh-prod."
  }
}

variable "region" {
  type        = string
  description = "The region of all of it."
  nullable    = false

  validation {
    condition     = can(regex("^(?:[a-z]+(?:-[a-z]+)+[0-9]{1,2})$", var.region))
    error_message = "REGION must be a region. Write a region, such as europe-west1."
  }
}

variable "vpc_network" {
  type        = string
  description = "The network; needed with Direct VPC egress."
  default     = ""
  nullable    = false

  validation {
    condition     = var.vpc_network == "" || can(regex("^(?:(?:projects/[a-z][a-z0-9-]{4,28}[a-z0-9]/global/networks/)?[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)$", var.vpc_network))
    error_message = "VPC_NETWORK must be a VPC network. Write NETWORK, or projects/HOST/global/networks/NETWORK of a Shared VPC."
  }
}

variable "vpc_subnet" {
  type        = string
  description = "The subnet that functions leave from; needed with Direct VPC egress."
  default     = ""
  nullable    = false

  validation {
    condition     = var.vpc_subnet == "" || can(regex("^(?:(?:projects/[a-z][a-z0-9-]{4,28}[a-z0-9]/regions/[a-z]+(?:-[a-z]+)+[0-9]{1,2}/subnetworks/)?[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)$", var.vpc_subnet))
    error_message = "VPC_SUBNET must be a subnet. Write SUBNET, or projects/HOST/regions/REGION/subnetworks/SUBNET of a Shared VPC."
  }
}

variable "vpc_connector" {
  type        = string
  description = "The connector; needed with FUNCTION_EGRESS=connector."
  default     = ""
  nullable    = false

  validation {
    condition     = var.vpc_connector == "" || can(regex("^(?:(?:projects/[a-z][a-z0-9-]{4,28}[a-z0-9]/locations/[a-z]+(?:-[a-z]+)+[0-9]{1,2}/connectors/)?[a-z](?:[a-z0-9-]{0,18}[a-z0-9])?)$", var.vpc_connector))
    error_message = "VPC_CONNECTOR must be a connector. Write CONNECTOR of at most 20 characters (a hyphen counts two), or projects/HOST/locations/REGION/connectors/CONNECTOR of a Shared VPC."
  }

  validation {
    condition     = var.vpc_connector == "" || length(replace(reverse(split("/", var.vpc_connector))[0], "-", "--")) <= 20
    error_message = "VPC_CONNECTOR must be a connector. Write CONNECTOR of at most 20 characters (a hyphen counts two), or projects/HOST/locations/REGION/connectors/CONNECTOR of a Shared VPC."
  }
}

variable "function_egress" {
  type        = string
  description = "Direct VPC egress, or Serverless VPC Access."
  nullable    = false

  validation {
    condition     = can(regex("^(?:direct|connector)$", var.function_egress))
    error_message = "FUNCTION_EGRESS must be one of direct, connector. Write direct or connector."
  }
}

variable "cluster_name" {
  type        = string
  description = "The GKE cluster."
  default     = "meshpass"
  nullable    = false

  validation {
    condition     = can(regex("^(?:[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?)$", var.cluster_name))
    error_message = "CLUSTER_NAME must be the name of a GKE cluster. Write 1 to 40 lower-case letters, digits and hyphens, with a letter first."
  }
}

variable "artifact_repository" {
  type        = string
  description = "The repository of the functions' images."
  default     = "meshpass"
  nullable    = false

  validation {
    condition     = can(regex("^(?:[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)$", var.artifact_repository))
    error_message = "ARTIFACT_REPOSITORY must be the name of a repository. Write 1 to 63 lower-case letters, digits and hyphens, with a letter first."
  }
}

variable "google_apis_host" {
  type        = string
  description = "The name of Private Google Access that DNS, routes, firewall and sidecars use; restricted inside VPC Service Controls."
  default     = "private.googleapis.com"
  nullable    = false

  validation {
    condition     = can(regex("^(?:private[.]googleapis[.]com|restricted[.]googleapis[.]com)$", var.google_apis_host))
    error_message = "GOOGLE_APIS_HOST must be one of private.googleapis.com, restricted.googleapis.com. Write private.googleapis.com or restricted.googleapis.com."
  }
}

variable "function_egress_range" {
  type        = string
  description = "The only range that the internal load balancer admits."
  default     = ""
  nullable    = false

  validation {
    condition     = var.function_egress_range == "" || can(regex("^(?:(?:10[.](?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])|172[.](?:1[6-9]|2[0-9]|3[01])|192[.]168|100[.](?:6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])|198[.]1[89]|(?:24[0-9]|25[0-4])[.](?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5]))(?:[.](?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])){2}/(?:24|25|26|27|28))$", var.function_egress_range))
    error_message = "FUNCTION_EGRESS_RANGE must be a range of private addresses. Write the range of the subnet that the functions' traffic leaves from, such as 10.8.0.0/26."
  }

  validation {
    condition     = var.function_egress_range == "" || try(cidrsubnet(var.function_egress_range, 0, 0) == var.function_egress_range, false)
    error_message = "FUNCTION_EGRESS_RANGE must be a range of private addresses. Write the range of the subnet that the functions' traffic leaves from, such as 10.8.0.0/26."
  }
}

variable "node_range" {
  type        = string
  description = "The cluster's subnet."
  default     = "10.128.0.0/20"
  nullable    = false

  validation {
    condition     = can(regex("^(?:(?:10[.](?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])|172[.](?:1[6-9]|2[0-9]|3[01])|192[.]168|100[.](?:6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])|198[.]1[89]|(?:24[0-9]|25[0-4])[.](?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5]))(?:[.](?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])){2}/(?:9|10|11|12|13|14|15|16|17|18|19|20|21|22|23|24|25|26|27|28))$", var.node_range))
    error_message = "NODE_RANGE must be a range of private addresses. Write the range of the subnet of the cluster's nodes, such as 10.8.0.0/26."
  }

  validation {
    condition     = try(cidrsubnet(var.node_range, 0, 0) == var.node_range, false)
    error_message = "NODE_RANGE must be a range of private addresses. Write the range of the subnet of the cluster's nodes, such as 10.8.0.0/26."
  }
}

variable "load_balancer_range" {
  type        = string
  description = "The subnet that GKE_GATEWAY_ADDRESS lies in; NODE_RANGE if absent."
  default     = ""
  nullable    = false

  validation {
    condition     = var.load_balancer_range == "" || can(regex("^(?:(?:10[.](?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])|172[.](?:1[6-9]|2[0-9]|3[01])|192[.]168|100[.](?:6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])|198[.]1[89]|(?:24[0-9]|25[0-4])[.](?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5]))(?:[.](?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])){2}/(?:9|10|11|12|13|14|15|16|17|18|19|20|21|22|23|24|25|26|27|28))$", var.load_balancer_range))
    error_message = "LOAD_BALANCER_RANGE must be a range of private addresses. Write the range of the subnet of the gateway's address, such as 10.8.0.0/26."
  }

  validation {
    condition     = var.load_balancer_range == "" || try(cidrsubnet(var.load_balancer_range, 0, 0) == var.load_balancer_range, false)
    error_message = "LOAD_BALANCER_RANGE must be a range of private addresses. Write the range of the subnet of the gateway's address, such as 10.8.0.0/26."
  }
}

variable "pod_range" {
  type        = string
  description = "The secondary range of the cluster's pods."
  default     = "10.64.0.0/20"
  nullable    = false

  validation {
    condition     = can(regex("^(?:(?:10[.](?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])|172[.](?:1[6-9]|2[0-9]|3[01])|192[.]168|100[.](?:6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])|198[.]1[89]|(?:24[0-9]|25[0-4])[.](?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5]))(?:[.](?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])){2}/(?:9|10|11|12|13|14|15|16|17|18|19|20|21|22|23|24|25|26|27|28))$", var.pod_range))
    error_message = "POD_RANGE must be a range of private addresses. Write the range of the cluster's pods, such as 10.8.0.0/26."
  }

  validation {
    condition     = try(cidrsubnet(var.pod_range, 0, 0) == var.pod_range, false)
    error_message = "POD_RANGE must be a range of private addresses. Write the range of the cluster's pods, such as 10.8.0.0/26."
  }
}

variable "service_range" {
  type        = string
  description = "The secondary range of the cluster's Services."
  default     = "10.72.0.0/20"
  nullable    = false

  validation {
    condition     = can(regex("^(?:(?:10[.](?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])|172[.](?:1[6-9]|2[0-9]|3[01])|192[.]168|100[.](?:6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])|198[.]1[89]|(?:24[0-9]|25[0-4])[.](?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5]))(?:[.](?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])){2}/(?:9|10|11|12|13|14|15|16|17|18|19|20|21|22|23|24|25|26|27|28))$", var.service_range))
    error_message = "SERVICE_RANGE must be a range of private addresses. Write the range of the cluster's Services, such as 10.8.0.0/26."
  }

  validation {
    condition     = try(cidrsubnet(var.service_range, 0, 0) == var.service_range, false)
    error_message = "SERVICE_RANGE must be a range of private addresses. Write the range of the cluster's Services, such as 10.8.0.0/26."
  }
}

variable "connector_range" {
  type        = string
  description = "The connector's subnet, a /28."
  default     = ""
  nullable    = false

  validation {
    condition     = var.connector_range == "" || can(regex("^(?:(?:10[.](?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])|172[.](?:1[6-9]|2[0-9]|3[01])|192[.]168|100[.](?:6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])|198[.]1[89]|(?:24[0-9]|25[0-4])[.](?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5]))(?:[.](?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])){2}/(?:28))$", var.connector_range))
    error_message = "CONNECTOR_RANGE must be a range of private addresses. Write the range of the connector's subnet, such as 10.8.0.0/28."
  }

  validation {
    condition     = var.connector_range == "" || try(cidrsubnet(var.connector_range, 0, 0) == var.connector_range, false)
    error_message = "CONNECTOR_RANGE must be a range of private addresses. Write the range of the connector's subnet, such as 10.8.0.0/28."
  }
}

variable "proxy_range" {
  type        = string
  description = "The proxy-only subnet of the internal load balancer before lookup."
  default     = ""
  nullable    = false

  validation {
    condition     = var.proxy_range == "" || can(regex("^(?:(?:10[.](?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])|172[.](?:1[6-9]|2[0-9]|3[01])|192[.]168|100[.](?:6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])|198[.]1[89]|(?:24[0-9]|25[0-4])[.](?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5]))(?:[.](?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])){2}/(?:9|10|11|12|13|14|15|16|17|18|19|20|21|22|23|24|25|26))$", var.proxy_range))
    error_message = "PROXY_RANGE must be a range of private addresses. Write the range of the proxy-only subnet, such as 10.8.0.0/26."
  }

  validation {
    condition     = var.proxy_range == "" || try(cidrsubnet(var.proxy_range, 0, 0) == var.proxy_range, false)
    error_message = "PROXY_RANGE must be a range of private addresses. Write the range of the proxy-only subnet, such as 10.8.0.0/26."
  }
}

variable "function_name" {
  type        = string
  description = "The function."
  nullable    = false

  validation {
    condition     = can(regex("^(?:[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)$", var.function_name))
    error_message = "FUNCTION_NAME must be the name of a function. Write 1 to 63 lower-case letters, digits and hyphens, with a letter first."
  }
}

variable "function_service_account" {
  type        = string
  description = "The account that it runs as."
  nullable    = false

  validation {
    condition     = can(regex("^(?:[a-z][a-z0-9-]{4,28}[a-z0-9]@[a-z][a-z0-9-]{4,28}[a-z0-9][.]iam[.]gserviceaccount[.]com)$", var.function_service_account))
    error_message = "FUNCTION_SERVICE_ACCOUNT must be a service account made for this. Write NAME@PROJECT.iam.gserviceaccount.com; a default account has more rights than this one needs."
  }
}

variable "build_service_account" {
  type        = string
  description = "The account that builds its image."
  nullable    = false

  validation {
    condition     = can(regex("^(?:[a-z][a-z0-9-]{4,28}[a-z0-9]@[a-z][a-z0-9-]{4,28}[a-z0-9][.]iam[.]gserviceaccount[.]com)$", var.build_service_account))
    error_message = "BUILD_SERVICE_ACCOUNT must be a service account made for this. Write NAME@PROJECT.iam.gserviceaccount.com; a default account has more rights than this one needs."
  }
}

variable "bigquery_table" {
  type        = string
  description = "Where rows go."
  nullable    = false

  validation {
    condition     = can(regex("^(?:[a-z][a-z0-9-]{4,28}[a-z0-9][.][A-Za-z0-9_]+[.][A-Za-z0-9_-]+)$", var.bigquery_table))
    error_message = "BIGQUERY_TABLE must be the full name of a table. Write PROJECT.DATASET.TABLE, with the project's id (6 to 30 characters)."
  }

  validation {
    condition     = length(var.bigquery_table) <= 2080
    error_message = "BIGQUERY_TABLE must be the full name of a table. Write PROJECT.DATASET.TABLE, with the project's id (6 to 30 characters)."
  }
}

variable "pseudonym_key_secret_id" {
  type        = string
  description = "The key of hmac_sha256() in pipeline.toml."
  default     = ""
  nullable    = false

  validation {
    condition     = var.pseudonym_key_secret_id == "" || can(regex("^(?:projects/(?:(?:[a-z0-9.-]+:)?(?:[a-z][a-z0-9-]{4,28}[a-z0-9]|[0-9]{6,19}))/(?:locations/[a-z0-9-]+/)?secrets/[A-Za-z0-9_-]{1,255}/versions/[A-Za-z0-9_-]{1,255})$", var.pseudonym_key_secret_id))
    error_message = "PSEUDONYM_KEY_SECRET_ID must be the full name of a secret's version. Write projects/P/secrets/S/versions/V, or projects/P/locations/L/secrets/S/versions/V for a regional secret."
  }

  validation {
    condition     = !can(regex("^(?:projects/[^/]+/locations/secrets/)", var.pseudonym_key_secret_id))
    error_message = "PSEUDONYM_KEY_SECRET_ID must be the full name of a secret's version. Write projects/P/secrets/S/versions/V, or projects/P/locations/L/secrets/S/versions/V for a regional secret."
  }
}

variable "function_trigger" {
  type        = string
  description = "Who makes the subscription: the deployment, or Eventarc."
  default     = "push"
  nullable    = false

  validation {
    condition     = can(regex("^(?:push|eventarc)$", var.function_trigger))
    error_message = "FUNCTION_TRIGGER must be one of push, eventarc. Write push or eventarc."
  }
}

variable "trigger_service_account" {
  type        = string
  description = "The account that delivers events."
  nullable    = false

  validation {
    condition     = can(regex("^(?:[a-z][a-z0-9-]{4,28}[a-z0-9]@[a-z][a-z0-9-]{4,28}[a-z0-9][.]iam[.]gserviceaccount[.]com)$", var.trigger_service_account))
    error_message = "TRIGGER_SERVICE_ACCOUNT must be a service account made for this. Write NAME@PROJECT.iam.gserviceaccount.com; a default account has more rights than this one needs."
  }
}

variable "trigger_topic" {
  type        = string
  description = "Where events come from."
  nullable    = false

  validation {
    condition     = can(regex("^(?:(?:projects/[a-z][a-z0-9-]{4,28}[a-z0-9]/topics/)?[A-Za-z][A-Za-z0-9_.+%-]{2,254})$", var.trigger_topic))
    error_message = "TRIGGER_TOPIC must be a topic. Write TOPIC or projects/PROJECT/topics/TOPIC."
  }

  validation {
    condition     = !can(regex("^(?:(?:.*/topics/)?goog)", var.trigger_topic))
    error_message = "TRIGGER_TOPIC must be a topic. Write TOPIC or projects/PROJECT/topics/TOPIC."
  }
}

variable "subscription_name" {
  type        = string
  description = "The push subscription; FUNCTION_NAME if absent."
  default     = ""
  nullable    = false

  validation {
    condition     = var.subscription_name == "" || can(regex("^(?:[A-Za-z][A-Za-z0-9_.+%-]{2,254})$", var.subscription_name))
    error_message = "SUBSCRIPTION_NAME must be the name of a subscription. Write 3 to 255 letters, digits, -, _, ., + and %, with a letter first."
  }

  validation {
    condition     = !can(regex("^(?:goog)", var.subscription_name))
    error_message = "SUBSCRIPTION_NAME must be the name of a subscription. Write 3 to 255 letters, digits, -, _, ., + and %, with a letter first."
  }
}

variable "dead_letter_topic" {
  type        = string
  description = "Events that the function itself found to be bad, with the reason."
  nullable    = false

  validation {
    condition     = can(regex("^(?:projects/(?:[a-z][a-z0-9-]{4,28}[a-z0-9]|[0-9]{6,19})/topics/[A-Za-z][A-Za-z0-9_.+%-]{2,254})$", var.dead_letter_topic))
    error_message = "DEAD_LETTER_TOPIC must be the full name of a topic. Write projects/PROJECT/topics/TOPIC, with the project's id (6 to 30 characters) or number, and a name of 3 to 255 characters."
  }

  validation {
    condition     = !can(regex("^(?:(?:.*/topics/)?goog)", var.dead_letter_topic))
    error_message = "DEAD_LETTER_TOPIC must be the full name of a topic. Write projects/PROJECT/topics/TOPIC, with the project's id (6 to 30 characters) or number, and a name of 3 to 255 characters."
  }
}

variable "undelivered_topic" {
  type        = string
  description = "Events that Pub/Sub gave up delivering."
  nullable    = false

  validation {
    condition     = can(regex("^(?:projects/(?:[a-z][a-z0-9-]{4,28}[a-z0-9]|[0-9]{6,19})/topics/[A-Za-z][A-Za-z0-9_.+%-]{2,254})$", var.undelivered_topic))
    error_message = "UNDELIVERED_TOPIC must be the full name of a topic. Write projects/PROJECT/topics/TOPIC, with the project's id (6 to 30 characters) or number, and a name of 3 to 255 characters."
  }

  validation {
    condition     = !can(regex("^(?:(?:.*/topics/)?goog)", var.undelivered_topic))
    error_message = "UNDELIVERED_TOPIC must be the full name of a topic. Write projects/PROJECT/topics/TOPIC, with the project's id (6 to 30 characters) or number, and a name of 3 to 255 characters."
  }
}

variable "function_max_instances" {
  type        = number
  description = "Instances at most; with Direct VPC egress each takes two addresses of FUNCTION_EGRESS_RANGE."
  default     = 20
  nullable    = false

  validation {
    condition     = var.function_max_instances >= 1 && var.function_max_instances <= 1000 && floor(var.function_max_instances) == var.function_max_instances
    error_message = "FUNCTION_MAX_INSTANCES must be a whole number of instances from 1 to 1000. Write a whole number of instances from 1 to 1000."
  }
}

variable "lookup_function_name" {
  type        = string
  description = "Its name; FUNCTION_NAME with -lookup if absent."
  default     = ""
  nullable    = false

  validation {
    condition     = var.lookup_function_name == "" || can(regex("^(?:[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)$", var.lookup_function_name))
    error_message = "LOOKUP_FUNCTION_NAME must be the name of a function. Write 1 to 63 lower-case letters, digits and hyphens, with a letter first."
  }
}

variable "lookup_service_account" {
  type        = string
  description = "An account of its own, which reaches neither the table nor a topic."
  default     = ""
  nullable    = false

  validation {
    condition     = var.lookup_service_account == "" || can(regex("^(?:[a-z][a-z0-9-]{4,28}[a-z0-9]@[a-z][a-z0-9-]{4,28}[a-z0-9][.]iam[.]gserviceaccount[.]com)$", var.lookup_service_account))
    error_message = "LOOKUP_SERVICE_ACCOUNT must be a service account made for this. Write NAME@PROJECT.iam.gserviceaccount.com; a default account has more rights than this one needs."
  }
}

variable "lookup_invokers" {
  type        = list(string)
  description = "Who may call it, separated by commas."
  default     = []
  nullable    = false

  validation {
    condition     = length(var.lookup_invokers) == 0 || can(regex("^(?:(?:(?:(?:serviceAccount|group|user):[A-Za-z0-9][A-Za-z0-9._%+-]*@[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:[.][a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+)|(?:serviceAccount:[a-z][a-z0-9-]{4,28}[a-z0-9][.]svc[.]id[.]goog\\[[a-z0-9-]+/[a-z0-9.-]+\\])|(?:principal://iam[.]googleapis[.]com/projects/[0-9]+/locations/global/workloadIdentityPools/(?:[a-z0-9-]+|[a-z][a-z0-9-]{4,28}[a-z0-9][.]svc[.]id[.]goog)/subject/[A-Za-z0-9_.:@%+=/-]+)|(?:principalSet://iam[.]googleapis[.]com/projects/[0-9]+/locations/global/workloadIdentityPools/(?:[a-z0-9-]+|[a-z][a-z0-9-]{4,28}[a-z0-9][.]svc[.]id[.]goog)/(?:group|namespace|attribute[.][a-z0-9_]+)/[A-Za-z0-9_.:@%+=/-]+))(?:,(?:(?:(?:serviceAccount|group|user):[A-Za-z0-9][A-Za-z0-9._%+-]*@[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:[.][a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+)|(?:serviceAccount:[a-z][a-z0-9-]{4,28}[a-z0-9][.]svc[.]id[.]goog\\[[a-z0-9-]+/[a-z0-9.-]+\\])|(?:principal://iam[.]googleapis[.]com/projects/[0-9]+/locations/global/workloadIdentityPools/(?:[a-z0-9-]+|[a-z][a-z0-9-]{4,28}[a-z0-9][.]svc[.]id[.]goog)/subject/[A-Za-z0-9_.:@%+=/-]+)|(?:principalSet://iam[.]googleapis[.]com/projects/[0-9]+/locations/global/workloadIdentityPools/(?:[a-z0-9-]+|[a-z][a-z0-9-]{4,28}[a-z0-9][.]svc[.]id[.]goog)/(?:group|namespace|attribute[.][a-z0-9_]+)/[A-Za-z0-9_.:@%+=/-]+)))*)$", join(",", var.lookup_invokers)))
    error_message = "LOOKUP_INVOKERS must be members of IAM. Write members separated by commas, each serviceAccount:EMAIL, group:EMAIL, user:EMAIL, principal://... or principalSet://... (never allUsers, allAuthenticatedUsers or a whole pool)."
  }
}

variable "pull_worker_name" {
  type        = string
  description = "Its name; FUNCTION_NAME with -worker if absent."
  default     = ""
  nullable    = false

  validation {
    condition     = var.pull_worker_name == "" || can(regex("^(?:[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)$", var.pull_worker_name))
    error_message = "PULL_WORKER_NAME must be the name of a function. Write 1 to 63 lower-case letters, digits and hyphens, with a letter first."
  }
}

variable "pull_worker_service_account" {
  type        = string
  description = "An account of its own; without it Terraform makes nothing for the worker."
  default     = ""
  nullable    = false

  validation {
    condition     = var.pull_worker_service_account == "" || can(regex("^(?:[a-z][a-z0-9-]{4,28}[a-z0-9]@[a-z][a-z0-9-]{4,28}[a-z0-9][.]iam[.]gserviceaccount[.]com)$", var.pull_worker_service_account))
    error_message = "PULL_WORKER_SERVICE_ACCOUNT must be a service account made for this. Write NAME@PROJECT.iam.gserviceaccount.com; a default account has more rights than this one needs."
  }
}

variable "pull_worker_subscription" {
  type        = string
  description = "The subscription that it pulls from; PULL_WORKER_NAME if absent."
  default     = ""
  nullable    = false

  validation {
    condition     = var.pull_worker_subscription == "" || can(regex("^(?:[A-Za-z][A-Za-z0-9_.+%-]{2,254})$", var.pull_worker_subscription))
    error_message = "PULL_WORKER_SUBSCRIPTION must be the name of a subscription. Write 3 to 255 letters, digits, -, _, ., + and %, with a letter first."
  }

  validation {
    condition     = !can(regex("^(?:goog)", var.pull_worker_subscription))
    error_message = "PULL_WORKER_SUBSCRIPTION must be the name of a subscription. Write 3 to 255 letters, digits, -, _, ., + and %, with a letter first."
  }
}

variable "pull_worker_instances" {
  type        = number
  description = "Instances in Cloud Run; each takes two addresses of FUNCTION_EGRESS_RANGE."
  default     = 1
  nullable    = false

  validation {
    condition     = var.pull_worker_instances >= 1 && var.pull_worker_instances <= 100 && floor(var.pull_worker_instances) == var.pull_worker_instances
    error_message = "PULL_WORKER_INSTANCES must be a whole number of instances from 1 to 100. Write a whole number of instances from 1 to 100."
  }
}

variable "dataflow_job" {
  type        = string
  description = "The streaming job; FUNCTION_NAME with -dataflow if absent."
  default     = ""
  nullable    = false

  validation {
    condition     = var.dataflow_job == "" || can(regex("^(?:[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)$", var.dataflow_job))
    error_message = "DATAFLOW_JOB must be the name of a function. Write 1 to 63 lower-case letters, digits and hyphens, with a letter first."
  }
}

variable "dataflow_service_account" {
  type        = string
  description = "The account of the jobs' workers; without it Terraform makes nothing for Dataflow."
  default     = ""
  nullable    = false

  validation {
    condition     = var.dataflow_service_account == "" || can(regex("^(?:[a-z][a-z0-9-]{4,28}[a-z0-9]@[a-z][a-z0-9-]{4,28}[a-z0-9][.]iam[.]gserviceaccount[.]com)$", var.dataflow_service_account))
    error_message = "DATAFLOW_SERVICE_ACCOUNT must be a service account made for this. Write NAME@PROJECT.iam.gserviceaccount.com; a default account has more rights than this one needs."
  }
}

variable "dataflow_subscription" {
  type        = string
  description = "The subscription of the streaming job; DATAFLOW_JOB if absent."
  default     = ""
  nullable    = false

  validation {
    condition     = var.dataflow_subscription == "" || can(regex("^(?:[A-Za-z][A-Za-z0-9_.+%-]{2,254})$", var.dataflow_subscription))
    error_message = "DATAFLOW_SUBSCRIPTION must be the name of a subscription. Write 3 to 255 letters, digits, -, _, ., + and %, with a letter first."
  }

  validation {
    condition     = !can(regex("^(?:goog)", var.dataflow_subscription))
    error_message = "DATAFLOW_SUBSCRIPTION must be the name of a subscription. Write 3 to 255 letters, digits, -, _, ., + and %, with a letter first."
  }
}

variable "dataflow_bucket" {
  type        = string
  description = "The bucket of templates, of what jobs stage, and of journals; GOOGLE_CLOUD_PROJECT with -dataflow if absent."
  default     = ""
  nullable    = false

  validation {
    condition     = var.dataflow_bucket == "" || can(regex("^(?:[a-z0-9][a-z0-9-]{1,61}[a-z0-9])$", var.dataflow_bucket))
    error_message = "DATAFLOW_BUCKET must be the name of a bucket. Write 3 to 63 lower-case letters, digits and hyphens, with a letter or digit first and last."
  }

  validation {
    condition     = !can(regex("^(?:goog)", var.dataflow_bucket))
    error_message = "DATAFLOW_BUCKET must be the name of a bucket. Write 3 to 63 lower-case letters, digits and hyphens, with a letter or digit first and last."
  }

  validation {
    condition     = !can(regex("^(?:.*google)", var.dataflow_bucket))
    error_message = "DATAFLOW_BUCKET must be the name of a bucket. Write 3 to 63 lower-case letters, digits and hyphens, with a letter or digit first and last."
  }
}
