variable "name" {
  description = "Name of the function, its role, its load balancer and its target group."
  type        = string
  default     = "lambda-bridge"

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$", var.name)) && !startswith(var.name, "internal-")
    error_message = "name must have at most 32 lower-case letters, digits and hyphens, and must not begin with internal-: a load balancer's name has these limits."
  }
}

variable "account_id" {
  description = "AWS account of the function and of the load balancer."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be 12 digits."
  }
}

variable "region" {
  description = "AWS region."
  type        = string
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = { app = "meshpass" }
}

# --- network ---

variable "vpc_id" {
  description = "VPC of the load balancer: that of EKS, or one that it reaches."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of the load balancer, in two availability zones or more. Their ranges are ALB_RANGE of bridge.env."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids must name subnets in two availability zones or more: a load balancer needs them."
  }
}

variable "gateway_security_group_id" {
  description = "Security group of the nodes (or pods) of EKS's ingress gateway. Nothing else reaches the load balancer."
  type        = string
}

variable "bridge_host" {
  description = "Host that the listener's rule forwards: BRIDGE_HOST of bridge.env."
  type        = string
}

variable "alb_host" {
  description = "DNS name of the load balancer, which its certificate has: ALB_HOST of bridge.env."
  type        = string
}

variable "zone_id" {
  description = "Private Route 53 zone in which alb_host is made. Empty: you make the record."
  type        = string
  default     = ""
}

variable "certificate_arn" {
  description = "Certificate of alb_host in AWS Certificate Manager."
  type        = string

  validation {
    condition     = startswith(var.certificate_arn, "arn:aws:acm:${var.region}:${var.account_id}:certificate/")
    error_message = "certificate_arn must be a certificate of AWS Certificate Manager in the account and the region."
  }
}

# --- the function ---

variable "package_file" {
  description = "The function's package, a zip file. function-aws/README.md makes it."
  type        = string
}

variable "runtime" {
  description = "Lambda's runtime."
  type        = string
  default     = "python3.13"

  validation {
    condition     = can(regex("^python3\\.(1[2-9])$", var.runtime))
    error_message = "runtime must be python3.12 or newer."
  }
}

variable "timeout_s" {
  description = "Time limit of an invocation, in seconds. Below the 12 s that EKS's gateway waits."
  type        = number
  default     = 10

  validation {
    condition     = var.timeout_s >= 1 && var.timeout_s < 12
    error_message = "timeout_s must be 1 to 11: the gateway of EKS waits 12 s, and would answer 504 before the function ends."
  }
}

variable "memory_mb" {
  description = "Memory of the function, in MB. The processor's share follows from it."
  type        = number
  default     = 256
}

variable "max_concurrency" {
  description = "Most invocations at a time. It is also reserved: other functions of the account cannot use it up."
  type        = number
  default     = 20
}

variable "lookup_url" {
  description = "Address of the private lookup in Google Cloud, `https://...`. Empty: the function answers /lookup/KEY with 404."
  type        = string
  default     = ""

  validation {
    condition     = var.lookup_url == "" || startswith(var.lookup_url, "https://")
    error_message = "lookup_url must begin with https://."
  }
}

variable "google_credentials_file" {
  description = "Path in the package of the federation file for the lookup. It holds no secret. Empty: none."
  type        = string
  default     = ""
}

# --- logs and alarms ---

variable "log_days" {
  description = "Days for which the function's log is kept, one of those that CloudWatch Logs takes."
  type        = number
  default     = 365
}

variable "kms_key_arn" {
  description = "KMS key of your own for log and environment. Empty: AWS's keys."
  type        = string
  default     = ""
}

variable "access_log_bucket" {
  description = "S3 bucket for the load balancer's access log. Its lines have the paths, and so the lookup keys. Empty: no access log."
  type        = string
  default     = ""
}

variable "web_acl_arn" {
  description = "AWS WAF web ACL of the load balancer. Empty: none."
  type        = string
  default     = ""
}

variable "alarm_actions" {
  description = "ARNs that alarms notify, such as an SNS topic."
  type        = list(string)
  default     = []
}
