# A private certificate authority for the hosts behind the gateway. Terraform makes no key of the gateway and no certificate: a
# key that Terraform makes is in its state. cert-manager, or a person with a certificate signing request, asks the pool for it.

locals {
  hosts = sort(var.hosts)

  # With == and || alone: Google's page has examples of both, and none of CEL's `in`.
  is_a_host = join(" || ", [for host in local.hosts : "san.value == ${jsonencode(host)}"])
}

resource "google_privateca_ca_pool" "this" {
  project  = var.project_id
  location = var.region
  name     = "${var.name}-authority"
  tier     = var.tier

  publishing_options {
    publish_ca_cert = true
    # Only ENTERPRISE has lists of revoked certificates.
    publish_crl = var.tier == "ENTERPRISE"
  }

  issuance_policy {
    # Why: there is no revocation that the function asks for, so a stolen key must end by itself.
    maximum_lifetime = "${var.certificate_lifetime_days * 86400}s"

    allowed_key_types {
      elliptic_curve {
        signature_algorithm = "ECDSA_P256"
      }
    }

    allowed_issuance_modes {
      # Why: by request alone. The private key then stays where it was made.
      allow_csr_based_issuance    = true
      allow_config_based_issuance = false
    }

    identity_constraints {
      # Why: the name in the subject is checked by no client, and must not carry one that the expression does not see.
      allow_subject_passthrough           = false
      allow_subject_alt_names_passthrough = true

      # Why: these names and no others, whatever the request asks for.
      cel_expression {
        title      = "hosts behind the gateway"
        expression = "subject_alt_names.size() > 0 && subject_alt_names.all(san, san.type == DNS && (${local.is_a_host}))"
      }
    }

    # Why: laid over every request. A certificate serves TLS, and can be neither a client's nor an authority's.
    baseline_values {
      ca_options {
        non_ca = true
      }

      key_usage {
        base_key_usage {
          digital_signature = true
        }

        extended_key_usage {
          server_auth = true
        }
      }
    }
  }
}

resource "google_privateca_certificate_authority" "this" {
  project                  = var.project_id
  location                 = var.region
  pool                     = google_privateca_ca_pool.this.name
  certificate_authority_id = "${var.name}-root"
  type                     = "SELF_SIGNED"
  lifetime                 = "${10 * 365 * 86400}s"

  # Why: every function trusts this one authority. Without it none reaches the mesh, and a new one has to be mounted first.
  deletion_protection                    = var.deletion_protection
  ignore_active_certificates_on_deletion = false
  skip_grace_period                      = false

  key_spec {
    # Why: made and kept by Google in an HSM. No copy of the key exists anywhere else.
    algorithm = "EC_P256_SHA256"
  }

  config {
    subject_config {
      subject {
        common_name  = "${var.name} root"
        organization = var.organization
      }
    }

    x509_config {
      ca_options {
        is_ca = true
        # Why: no authority below it. A certificate that it signs can sign nothing.
        zero_max_issuer_path_length = true
      }

      key_usage {
        base_key_usage {
          cert_sign = true
          crl_sign  = true
        }

        extended_key_usage {
          server_auth = true
        }
      }

      # Why: what trusts this authority trusts it for these domains alone, even if its policy is changed.
      name_constraints {
        critical            = true
        permitted_dns_names = var.certificate_domains
      }
    }
  }
}

# The authority's certificate for the function. It is public; as a secret it is mounted like the rest of the function's settings.
resource "google_secret_manager_secret" "ca" {
  project   = var.project_id
  secret_id = var.ca_secret

  replication {
    # Why: in the one region, where the function reads it. Policies on locations often forbid the automatic choice.
    user_managed {
      replicas {
        location = var.region
      }
    }
  }
}

resource "google_secret_manager_secret_version" "ca" {
  secret      = google_secret_manager_secret.ca.id
  secret_data = google_privateca_certificate_authority.this.pem_ca_certificates[0]

  lifecycle {
    # Why: a function that starts between the end of one version and the next would have no certificate to mount.
    create_before_destroy = true
  }
}

resource "google_secret_manager_secret_iam_member" "ca" {
  for_each = var.ca_readers

  project   = var.project_id
  secret_id = google_secret_manager_secret.ca.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = each.value
}
