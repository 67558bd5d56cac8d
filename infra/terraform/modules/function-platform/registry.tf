resource "google_artifact_registry_repository" "images" {
  project       = var.project_id
  location      = var.region
  repository_id = var.artifact_repository
  description   = "Images of ${var.function_name}."
  format        = "DOCKER"
  labels        = var.labels
  kms_key_name  = var.encryption_key

  docker_config {
    immutable_tags = var.immutable_tags
  }

  # Known vulnerabilities of every image are listed when it arrives and for 30 days after. It needs the API
  # containerscanning.googleapis.com.
  vulnerability_scanning_config {
    enablement_config = "INHERITED"
  }

  cleanup_policy_dry_run = false

  # Why: a revision whose image is gone cannot start another instance, so a roll-back needs these. KEEP wins over DELETE.
  cleanup_policies {
    id     = "keep-newest"
    action = "KEEP"

    most_recent_versions {
      keep_count = var.kept_images
    }
  }

  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"

    condition {
      tag_state  = "ANY"
      older_than = "7776000s"
    }
  }
}
