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

run "a_certificate_of_another_account_is_refused" {
  command = plan

  module {
    source = "../modules/aws-lambda"
  }

  variables {
    account_id      = "123456789012"
    region          = "eu-west-1"
    certificate_arn = "arn:aws:acm:eu-west-1:210987654321:certificate/00000000-0000-0000-0000-000000000000"
  }

  expect_failures = [var.certificate_arn]
}

run "a_time_limit_beyond_that_of_the_gateway_is_refused" {
  command = plan

  module {
    source = "../modules/aws-lambda"
  }

  variables {
    account_id = "123456789012"
    region     = "eu-west-1"
    timeout_s  = 12
  }

  expect_failures = [var.timeout_s]
}
