# Values of infra/contract.env, each under its key in lower case.

variable "google_cloud_project" {
  description = "GOOGLE_CLOUD_PROJECT: the project."
  type        = string
}

variable "region" {
  description = "REGION: its region."
  type        = string
}

variable "function_name" {
  description = "FUNCTION_NAME: name of the function."
  type        = string
}

variable "function_service_account" {
  description = "FUNCTION_SERVICE_ACCOUNT: account that the function runs as."
  type        = string
}

variable "trigger_service_account" {
  description = "TRIGGER_SERVICE_ACCOUNT: account that Pub/Sub calls the function as."
  type        = string
}

variable "build_service_account" {
  description = "BUILD_SERVICE_ACCOUNT: account that builds the image."
  type        = string
}

variable "function_trigger" {
  description = "FUNCTION_TRIGGER: push or eventarc."
  type        = string
  default     = "push"
}

variable "subscription_name" {
  description = "SUBSCRIPTION_NAME: the push subscription; the function's name if empty."
  type        = string
  default     = ""
}

variable "artifact_repository" {
  description = "ARTIFACT_REPOSITORY: Artifact Registry repository of the images."
  type        = string
  default     = "meshpass"
}

variable "trigger_topic" {
  description = "TRIGGER_TOPIC: topic of the events."
  type        = string
}

variable "dead_letter_topic" {
  description = "DEAD_LETTER_TOPIC: topic of the events that the function found to be bad."
  type        = string
}

variable "undelivered_topic" {
  description = "UNDELIVERED_TOPIC: topic of the events that Pub/Sub gave up delivering."
  type        = string
}

variable "bigquery_table" {
  description = "BIGQUERY_TABLE: PROJECT.DATASET.TABLE of the rows."
  type        = string
}

variable "mesh_auth" {
  description = "MESH_AUTH: signed-jwt or google-id-token."
  type        = string
  default     = "signed-jwt"
}

variable "signing_key_secret_id" {
  description = "SIGNING_KEY_SECRET_ID: version of the signing key's secret."
  type        = string
  default     = ""
}

variable "pseudonym_key_secret_id" {
  description = "PSEUDONYM_KEY_SECRET_ID: version of the secret with the key of hmac_sha256()."
  type        = string
  default     = ""
}

variable "gke_gateway_host" {
  description = "GKE_GATEWAY_HOST: the gateway's virtual host."
  type        = string
}

variable "orders_host" {
  description = "ORDERS_HOST: a second host behind the gateway."
  type        = string
  default     = ""
}

variable "gke_gateway_address" {
  description = "GKE_GATEWAY_ADDRESS: internal address of the gateway's load balancer."
  type        = string
}

variable "gke_gateway_ca_secret" {
  description = "GKE_GATEWAY_CA_SECRET: secret of the CA that signed the gateway's certificate."
  type        = string
  default     = ""
}

variable "function_egress" {
  description = "FUNCTION_EGRESS: direct or connector."
  type        = string
  default     = "direct"
}

variable "function_egress_range" {
  description = "FUNCTION_EGRESS_RANGE: range that the function's traffic leaves from."
  type        = string
}

variable "vpc_network" {
  description = "VPC_NETWORK: VPC network, or the full name of a Shared VPC's."
  type        = string
  default     = ""
}

variable "vpc_subnet" {
  description = "VPC_SUBNET: subnet of the function, or the full name of a Shared VPC's."
  type        = string
  default     = ""
}

variable "vpc_connector" {
  description = "VPC_CONNECTOR: Serverless VPC Access connector."
  type        = string
  default     = ""
}

variable "cluster_name" {
  description = "CLUSTER_NAME: the GKE cluster."
  type        = string
  default     = "meshpass"
}

variable "node_range" {
  description = "NODE_RANGE: range of the cluster's nodes."
  type        = string
  default     = "10.128.0.0/20"
}

variable "pod_range" {
  description = "POD_RANGE: secondary range of the pods."
  type        = string
  default     = "10.64.0.0/20"
}

variable "service_range" {
  description = "SERVICE_RANGE: secondary range of the Services."
  type        = string
  default     = "10.72.0.0/20"
}

variable "connector_range" {
  description = "CONNECTOR_RANGE: /28 of the connector."
  type        = string
  default     = ""
}

variable "proxy_range" {
  description = "PROXY_RANGE: proxy-only subnet of the internal load balancer before lookup."
  type        = string
  default     = ""
}

variable "lookup_function_name" {
  description = "LOOKUP_FUNCTION_NAME: the second function; FUNCTION_NAME-lookup if empty."
  type        = string
  default     = ""
}

variable "lookup_service_account" {
  description = "LOOKUP_SERVICE_ACCOUNT: account that the second function runs as."
  type        = string
  default     = ""
}

variable "lookup_invokers" {
  description = "LOOKUP_INVOKERS: who may call lookup, separated by commas."
  type        = string
  default     = ""
}

variable "reports_email" {
  description = "REPORTS_EMAIL: account of the caller reports."
  type        = string
  default     = ""
}

variable "storefront_email" {
  description = "STOREFRONT_EMAIL: account of the caller storefront."
  type        = string
  default     = ""
}

variable "google_apis_host" {
  description = "GOOGLE_APIS_HOST: Google's name for Private Google Access."
  type        = string
  default     = "private.googleapis.com"
}
