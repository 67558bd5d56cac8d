# The bridge's side in AWS: the real provider's schema, and no credentials.

mock_provider "aws" {}

variables {
  account_id                = "123456789012"
  region                    = "eu-west-1"
  vpc_id                    = "vpc-0123456789abcdef0"
  subnet_ids                = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  gateway_security_group_id = "sg-0123456789abcdef0"
  bridge_host               = "lambda.bridge.internal"
  alb_host                  = "lambda-alb.eks.example.com"
  zone_id                   = "Z0123456789ABCDEFGHIJ"
  certificate_arn           = "arn:aws:acm:eu-west-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
  package_file              = "tests/package.zip"
  lookup_url                = "https://lookup.example.run.app"
}

run "shipped" {
  command = plan

  assert {
    condition     = aws_lb.this.internal && aws_lb.this.drop_invalid_header_fields
    error_message = "The load balancer is internal and drops what is no header."
  }

  assert {
    condition     = aws_lambda_permission.target_group.qualifier == "live" && aws_lambda_permission.target_group.source_account == "123456789012"
    error_message = "One target group of one account may invoke the alias."
  }
}

run "values_that_cannot_work_are_refused" {
  command = plan

  variables {
    certificate_arn = "arn:aws:acm:eu-west-1:210987654321:certificate/00000000-0000-0000-0000-000000000000"
    timeout_s       = 12
    subnet_ids      = ["subnet-0123456789abcdef0"]
  }

  expect_failures = [var.certificate_arn, var.timeout_s, var.subnet_ids]
}
