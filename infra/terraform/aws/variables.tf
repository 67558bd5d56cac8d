# --- values of infra/mesh/lambda-bridge/contract/bridge.env, each under its key in lower case ---

variable "bridge_host" {
  description = "BRIDGE_HOST: the host that applications in GKE ask for."
  type        = string
}

variable "alb_host" {
  description = "ALB_HOST: a name of the load balancer's certificate."
  type        = string
}

variable "aws_account_id" {
  description = "AWS_ACCOUNT_ID: the account of function and load balancer."
  type        = string
}

variable "aws_region" {
  description = "AWS_REGION: their region."
  type        = string
}

# --- what exists in the account ---

variable "vpc_id" {
  description = "VPC of EKS, or one that it reaches."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of the load balancer, whose ranges are ALB_RANGE."
  type        = list(string)
}

variable "gateway_security_group_id" {
  description = "Security group of the nodes (or pods) of EKS's ingress gateway."
  type        = string
}

variable "certificate_arn" {
  description = "Certificate of alb_host in AWS Certificate Manager."
  type        = string
}

variable "zone_id" {
  description = "Private Route 53 zone for alb_host. Empty: you make the record."
  type        = string
  default     = ""
}

# --- the function ---

variable "package_file" {
  description = "The function's package, a zip file. function-aws/README.md makes it."
  type        = string
  default     = "../../../build/function-aws.zip"
}

variable "lookup_url" {
  description = "Address of the private lookup in Google Cloud. Empty: no lookup."
  type        = string
  default     = ""
}

variable "alarm_actions" {
  description = "ARNs that alarms notify, such as an SNS topic."
  type        = list(string)
  default     = []
}
