# The subscription of the pull worker, and its Cloud Run worker pool where there is an image.

locals {
  dataset = split(".", var.bigquery_table)[1]
  table   = split(".", var.bigquery_table)[2]

  pubsub_agent = "serviceAccount:service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"

  # The function's environment, and what names the subscription.
  environment = merge(var.environment, {
    PULL_SUBSCRIPTION = "projects/${var.project_id}/subscriptions/${var.subscription}"
    PORT              = tostring(var.health_port)
  })

  # The folder and the file of GKE_GATEWAY_CA_FILE; empty without one.
  gateway_ca_files = try([regex("^(.*)/([^/]+)$", lookup(var.environment, "GKE_GATEWAY_CA_FILE", ""))], [])
}

resource "google_pubsub_subscription" "this" {
  project = var.project_id
  name    = var.subscription
  topic   = "projects/${var.project_id}/topics/${reverse(split("/", var.trigger_topic))[0]}"
  labels  = var.labels

  ack_deadline_seconds         = var.delivery.ack_deadline_s
  message_retention_duration   = "${var.delivery.retention_s}s"
  enable_message_ordering      = var.delivery.ordering
  enable_exactly_once_delivery = var.delivery.exactly_once

  retry_policy {
    minimum_backoff = "${var.delivery.min_retry_delay_s}s"
    maximum_backoff = "${var.delivery.max_retry_delay_s}s"
  }

  # Why: an event that is never taken would be delivered until it is too old, and then be dropped.
  dead_letter_policy {
    dead_letter_topic     = var.undelivered_topic
    max_delivery_attempts = var.delivery.max_delivery_attempts
  }

  # Why: the default deletes a subscription, with its events, after 31 days without a reader.
  expiration_policy {
    ttl = ""
  }

  lifecycle {
    # Why: with the subscription go the events that wait in it.
    prevent_destroy = true
  }
}

resource "google_cloud_run_v2_worker_pool" "this" {
  count = var.image == "" ? 0 : 1

  project      = var.project_id
  location     = var.region
  name         = var.name
  description  = "The enrichment, pulling from ${var.subscription}."
  labels       = var.labels
  launch_stage = var.launch_stage

  # Why: a pool keeps nothing. Events that it has not acknowledged are delivered again.
  deletion_protection = false

  scaling {
    # Why: nothing sends a pool requests, so Cloud Run has nothing to scale it by.
    scaling_mode          = "MANUAL"
    manual_instance_count = var.instances
  }

  template {
    service_account = google_service_account.pull_worker.email

    vpc_access {
      # Why: private ranges and Google's virtual address go through the network, whose firewall names what is allowed.
      egress = "PRIVATE_RANGES_ONLY"

      network_interfaces {
        network    = var.network
        subnetwork = var.subnet
      }
    }

    containers {
      image = var.image
      args  = ["work"]

      dynamic "env" {
        for_each = local.environment

        content {
          name  = env.key
          value = env.value
        }
      }

      resources {
        limits = { cpu = var.cpu, memory = var.memory }
      }

      startup_probe {
        period_seconds    = 5
        failure_threshold = 12

        http_get {
          path = "/ready"
          port = var.health_port
        }
      }

      # Why: /live and not /ready. A worker that waits for the mesh or for BigQuery is not mended by a restart.
      liveness_probe {
        period_seconds    = 10
        failure_threshold = 3

        http_get {
          path = "/live"
          port = var.health_port
        }
      }

      dynamic "volume_mounts" {
        for_each = local.gateway_ca_files

        content {
          name       = "gateway-ca"
          mount_path = volume_mounts.value[0]
        }
      }
    }

    dynamic "volumes" {
      for_each = local.gateway_ca_files

      content {
        name = "gateway-ca"

        secret {
          secret = "projects/${var.secrets["gateway_ca"].project}/secrets/${var.secrets["gateway_ca"].secret}"

          items {
            path    = volumes.value[1]
            version = var.gateway_ca_version
          }
        }
      }
    }
  }

  # Why: the first instance reads its secrets and pulls at its start.
  depends_on = [
    google_bigquery_table_iam_member.writes_rows,
    google_pubsub_subscription_iam_member.pulls,
    google_secret_manager_secret_iam_member.reads_secrets,
  ]
}
