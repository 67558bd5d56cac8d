# Alerts where a job does not do its work: it failed, or events wait.

locals {
  alerts = {
    "a job failed" = {
      filter  = "resource.type = \"dataflow_job\" AND resource.labels.job_name = starts_with(\"${var.job}\") AND metric.type = \"dataflow.googleapis.com/job/is_failed\""
      value   = 0
      aligner = "ALIGN_MAX"
      wait    = "0s"
      content = "A Dataflow job ended with a failure. Read its messages: `gcloud dataflow jobs show`, and the log of its workers. Events that it did not finish are still in the subscription; a backfill is resumed under its name."
    }
    "events wait too long" = {
      filter  = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${var.subscription}\" AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
      value   = 900
      aligner = "ALIGN_MAX"
      wait    = "300s"
      content = "The oldest event that is not acknowledged is older than 15 minutes: the job does not run, cannot keep up with DATAFLOW_MAX_WORKERS, or its bundles fail. Look at its CRITICAL lines first."
    }
  }
}

resource "google_monitoring_alert_policy" "this" {
  for_each = local.alerts

  project               = var.project_id
  display_name          = "${var.job}: ${each.key}"
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
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.value
      duration        = each.value.wait

      aggregations {
        alignment_period   = "60s"
        per_series_aligner = each.value.aligner
      }

      trigger {
        count = 1
      }
    }
  }
}
