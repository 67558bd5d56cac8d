# Alerts where the worker does not keep up: the age of the oldest event, and events that Pub/Sub gave up.

locals {
  thresholds = {
    "events wait too long" = {
      metric  = "oldest_unacked_message_age"
      value   = 900
      content = "The oldest event that is not acknowledged is older than 15 minutes: the worker returns events, cannot keep up, or does not start. Look at its CRITICAL lines first, then at its instances."
    }
    "events are given up" = {
      metric  = "dead_letter_message_count"
      value   = 0
      content = "Pub/Sub gave up delivering events and handed them to the undelivered topic. Mend the cause, then redrive: docs/deploy.md."
    }
  }
}

resource "google_monitoring_alert_policy" "this" {
  for_each = local.thresholds

  project               = var.project_id
  display_name          = "${var.name}: ${each.key}"
  combiner              = "OR"
  severity              = "ERROR"
  user_labels           = var.labels
  notification_channels = var.notification_channels

  documentation {
    content   = each.value.content
    mime_type = "text/markdown"
  }

  alert_strategy {
    auto_close = "3600s"
  }

  conditions {
    display_name = each.key

    condition_threshold {
      filter          = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${var.subscription}\" AND metric.type = \"pubsub.googleapis.com/subscription/${each.value.metric}\""
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.value
      duration        = each.value.value == 0 ? "0s" : "300s"

      aggregations {
        alignment_period   = "60s"
        per_series_aligner = each.value.value == 0 ? "ALIGN_DELTA" : "ALIGN_MAX"
      }

      trigger {
        count = 1
      }
    }
  }
}
