# The bridge's side in AWS. A root of its own: a user of Google's side needs neither this provider nor credentials
# for AWS, and the two states are changed by different people.

module "lambda" {
  source = "../modules/aws-lambda"

  account_id                = var.aws_account_id
  region                    = var.aws_region
  vpc_id                    = var.vpc_id
  subnet_ids                = var.subnet_ids
  gateway_security_group_id = var.gateway_security_group_id
  bridge_host               = var.bridge_host
  alb_host                  = var.alb_host
  zone_id                   = var.zone_id
  certificate_arn           = var.certificate_arn
  package_file              = var.package_file
  lookup_url                = var.lookup_url
  google_credentials_file   = var.lookup_url == "" ? "" : "google.json"
  alarm_actions             = var.alarm_actions
}
