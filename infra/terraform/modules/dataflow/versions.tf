terraform {
  # Validations that compare two variables need 1.9, write-only arguments 1.11.
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.45"
    }
  }
}
