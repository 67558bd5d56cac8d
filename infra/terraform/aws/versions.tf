terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }

  # A state of its own, apart from Google's: other credentials and other people change it. Keep it in a bucket with
  # versions, encryption and a lock, for example:
  #
  # backend "s3" {
  #   bucket       = "BUCKET"
  #   key          = "meshpass/lambda-bridge.tfstate"
  #   region       = "eu-west-1"
  #   encrypt      = true
  #   use_lockfile = true
  # }
}

provider "aws" {
  region = var.aws_region
  # Credentials of another account are refused before anything is changed.
  allowed_account_ids = [var.aws_account_id]
}
