terraform {
  # Validations that compare two variables need 1.9, write-only arguments 1.11.
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.45"
    }
  }

  # Keep the state in a bucket of its own: with versions, so that a state that was lost or damaged can be had back, with
  # uniform access, and readable for those who apply alone. It holds no key, but it lists everything that there is.
  #
  # backend "gcs" {
  #   bucket = "BUCKET"
  #   prefix = "meshpass"
  # }
}

provider "google" {
  project = var.google_cloud_project
  region  = var.region

  # The budget's API is asked on behalf of this project, not of the one that issued the user's credentials.
  billing_project       = var.google_cloud_project
  user_project_override = true
}
