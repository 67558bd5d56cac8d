terraform {
  # Why: write-only arguments, which keep a value out of the state, came with 1.11.
  required_version = ">= 1.11"

  required_providers {
    google = {
      source = "hashicorp/google"
      # Why: the tests check the arguments against the schema of 7.45, and a new major version may rename them.
      version = "~> 7.45"
    }
  }
}
