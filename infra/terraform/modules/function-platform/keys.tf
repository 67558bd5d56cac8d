# What the function proves itself with. Terraform makes the places and the grants. Keys are made by `meshpass keys`,
# and certificates by the gateway's owner: a payload that Terraform knows would lie in its state for ever.

locals {
  uses_secret = var.mesh_auth == "signed-jwt" && var.signing_key == "secret"
  uses_kms    = var.mesh_auth == "signed-jwt" && var.signing_key == "kms"

  # A secret's name without its version, from `S`, `S:V`, `projects/P/secrets/S` or `projects/P/secrets/S/versions/V`.
  signing_key_secret = local.uses_secret ? split("/", var.signing_key_secret_id)[3] : ""
  pseudonym_secret   = var.pseudonym_key_secret_id == "" ? "" : split("/", var.pseudonym_key_secret_id)[3]
  gateway_ca         = regex("^(?:projects/(?P<project>[^/]+)/secrets/)?(?P<secret>[^/:]*)", var.gateway_ca_secret)
  gateway_ca_secret  = local.gateway_ca.secret
  gateway_ca_project = coalesce(local.gateway_ca.project, var.project_id)
  makes_ca_secret    = local.gateway_ca_secret != "" && var.create_gateway_ca_secret
}

resource "google_secret_manager_secret" "signing_key" {
  count = local.uses_secret ? 1 : 0

  project   = var.project_id
  secret_id = local.signing_key_secret
  labels    = var.labels

  # Why: one region, so that the key is where the function is and nowhere else.
  replication {
    user_managed {
      replicas {
        location = var.region

        dynamic "customer_managed_encryption" {
          for_each = var.encryption_key == null ? [] : [var.encryption_key]

          content {
            kms_key_name = customer_managed_encryption.value
          }
        }
      }
    }
  }

  # Why: a version that was destroyed by mistake can be had back for a week.
  version_destroy_ttl = "604800s"

  lifecycle {
    prevent_destroy = true
    # Why: `meshpass keys` keeps the public halves, the times and the aliases active, next and previous there.
    ignore_changes = [annotations, version_aliases]
  }
}

resource "google_secret_manager_secret" "gateway_ca" {
  count = local.makes_ca_secret ? 1 : 0

  project   = var.project_id
  secret_id = local.gateway_ca_secret
  labels    = var.labels

  replication {
    user_managed {
      replicas {
        location = var.region

        dynamic "customer_managed_encryption" {
          for_each = var.encryption_key == null ? [] : [var.encryption_key]

          content {
            kms_key_name = customer_managed_encryption.value
          }
        }
      }
    }
  }
}

resource "google_secret_manager_secret" "pseudonym_key" {
  count = local.pseudonym_secret == "" ? 0 : 1

  project   = var.project_id
  secret_id = local.pseudonym_secret
  labels    = var.labels

  replication {
    user_managed {
      replicas {
        location = var.region

        dynamic "customer_managed_encryption" {
          for_each = var.encryption_key == null ? [] : [var.encryption_key]

          content {
            kms_key_name = customer_managed_encryption.value
          }
        }
      }
    }
  }

  # Why: without this key no pseudonym can be made again.
  version_destroy_ttl = "2592000s"

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_kms_key_ring" "signing" {
  count = local.uses_kms ? 1 : 0

  project  = var.project_id
  location = var.region
  name     = var.function_name

  # Why: a key ring cannot be deleted, so a new one of this name could never be made.
  lifecycle {
    prevent_destroy = true
  }
}

resource "google_kms_crypto_key" "signing" {
  count = local.uses_kms ? 1 : 0

  name     = "signing-key"
  key_ring = google_kms_key_ring.signing[0].id
  labels   = var.labels
  purpose  = "ASYMMETRIC_SIGN"

  # ES256, the algorithm that the mesh's RequestAuthentications take by default.
  version_template {
    algorithm        = "EC_SIGN_P256_SHA256"
    protection_level = var.kms_protection_level
  }

  # Why: 30 days to notice that the wrong version was destroyed.
  destroy_scheduled_duration = "2592000s"

  lifecycle {
    prevent_destroy = true
  }
}
