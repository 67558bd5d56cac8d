# The bridge's side in AWS: the real provider's schema, and no credentials.

mock_provider "aws" {}

variables {
  bridge_host               = "lambda.bridge.internal"
  alb_host                  = "lambda-alb.eks.example.com"
  aws_account_id            = "123456789012"
  aws_region                = "eu-west-1"
  vpc_id                    = "vpc-0123456789abcdef0"
  subnet_ids                = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  gateway_security_group_id = "sg-0123456789abcdef0"
  certificate_arn           = "arn:aws:acm:eu-west-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
  package_file              = "tests/package.zip"
}

run "plan" {
  command = plan
}

run "values_that_cannot_work_are_refused" {
  command = plan

  module {
    source = "../modules/aws-lambda"
  }

  variables {
    account_id      = "123456789012"
    region          = "eu-west-1"
    certificate_arn = "arn:aws:acm:eu-west-1:210987654321:certificate/00000000-0000-0000-0000-000000000000"
    timeout_s       = 12
    subnet_ids      = ["subnet-0123456789abcdef0"]
  }

  expect_failures = [var.certificate_arn, var.timeout_s, var.subnet_ids]
}
