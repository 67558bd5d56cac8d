# The policies of deploy/alerts, which are Cloud Monitoring's own format with the contract's keys as placeholders.

locals {
  alerts_directory = coalesce(var.alerts_directory, "${local.root}/deploy/alerts")

  # Cloud Monitoring names a topic or subscription by the last part of its name.
  alert_names = {
    FUNCTION_NAME        = var.function_name
    LOOKUP_FUNCTION_NAME = var.lookup_function_name
    TRIGGER_TOPIC        = local.trigger_topic
    DEAD_LETTER_TOPIC    = local.dead_letter_topic
    UNDELIVERED_TOPIC    = local.undelivered_topic
    SUBSCRIPTION_NAME    = var.subscription_name
  }

  alerts = {
    for name in fileset(local.alerts_directory, "*.json") :
    trimsuffix(name, ".json") => jsondecode(templatefile("${local.alerts_directory}/${name}", local.alert_names))
  }

  channels = concat(
    var.notification_channels,
    [for channel in google_monitoring_notification_channel.email : channel.name],
  )
}

resource "google_monitoring_notification_channel" "email" {
  for_each = toset(var.notification_emails)

  project      = var.project_id
  display_name = "${var.function_name}: ${each.value}"
  type         = "email"
  labels       = { email_address = each.value }
}

resource "google_monitoring_alert_policy" "this" {
  for_each = local.alerts

  project               = var.project_id
  display_name          = each.value.displayName
  combiner              = each.value.combiner
  severity              = each.value.severity
  user_labels           = each.value.userLabels
  notification_channels = local.channels

  documentation {
    content   = each.value.documentation.content
    mime_type = each.value.documentation.mimeType
  }

  alert_strategy {
    auto_close = each.value.alertStrategy.autoClose

    dynamic "notification_rate_limit" {
      for_each = try([each.value.alertStrategy.notificationRateLimit], [])

      content {
        period = notification_rate_limit.value.period
      }
    }
  }

  dynamic "conditions" {
    for_each = each.value.conditions

    content {
      display_name = conditions.value.displayName

      dynamic "condition_matched_log" {
        for_each = try([conditions.value.conditionMatchedLog], [])

        content {
          filter           = condition_matched_log.value.filter
          label_extractors = condition_matched_log.value.labelExtractors
        }
      }

      dynamic "condition_prometheus_query_language" {
        for_each = try([conditions.value.conditionPrometheusQueryLanguage], [])

        content {
          query               = condition_prometheus_query_language.value.query
          duration            = condition_prometheus_query_language.value.duration
          evaluation_interval = condition_prometheus_query_language.value.evaluationInterval
        }
      }

      dynamic "condition_threshold" {
        for_each = try([conditions.value.conditionThreshold], [])

        content {
          filter          = condition_threshold.value.filter
          comparison      = condition_threshold.value.comparison
          threshold_value = condition_threshold.value.thresholdValue
          duration        = condition_threshold.value.duration

          dynamic "aggregations" {
            for_each = condition_threshold.value.aggregations

            content {
              alignment_period   = aggregations.value.alignmentPeriod
              per_series_aligner = aggregations.value.perSeriesAligner
            }
          }

          trigger {
            count = condition_threshold.value.trigger.count
          }
        }
      }
    }
  }
}

resource "google_monitoring_dashboard" "this" {
  project        = var.project_id
  dashboard_json = templatefile("${path.module}/dashboard.json", merge(local.alert_names, { MAX_INSTANCES = var.max_instances }))
}
