resource "google_billing_budget" "this" {
  count = var.billing_account == "" ? 0 : 1

  billing_account = var.billing_account
  display_name    = "${var.function_name}: ${var.project_id}"

  budget_filter {
    projects        = ["projects/${var.project_number}"]
    calendar_period = "MONTH"
  }

  amount {
    specified_amount {
      units = tostring(var.monthly_budget)
    }
  }

  threshold_rules {
    threshold_percent = 0.5
  }

  threshold_rules {
    threshold_percent = 0.9
  }

  # Why: before the money is spent: a loop of retries shows in the forecast on its first day.
  threshold_rules {
    threshold_percent = 1.0
    spend_basis       = "FORECASTED_SPEND"
  }

  # Why: only with channels. The API leaves an empty rule out, and each plan would add it again.
  dynamic "all_updates_rule" {
    for_each = length(local.channels) == 0 ? [] : [local.channels]

    content {
      # The API takes at most five.
      monitoring_notification_channels = slice(all_updates_rule.value, 0, min(5, length(all_updates_rule.value)))
      disable_default_iam_recipients   = false
    }
  }
}
