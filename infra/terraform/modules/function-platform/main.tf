# What the function needs around it. The function, its push subscription and its revisions belong to deploy/deploy:
# an object that two tools own is changed back and forth by them.

locals {
  root = "${path.module}/../../../.."

  # Google's own accounts that work for the project.
  pubsub_agent = "serviceAccount:service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
  run_agent    = "serviceAccount:service-${var.project_number}@serverless-robot-prod.iam.gserviceaccount.com"

  trigger_topic     = reverse(split("/", var.trigger_topic))[0]
  dead_letter_topic = reverse(split("/", var.dead_letter_topic))[0]
  undelivered_topic = reverse(split("/", var.undelivered_topic))[0]

  dataset = split(".", var.bigquery_table)[1]
  table   = split(".", var.bigquery_table)[2]

  has_lookup   = var.lookup_service_account != ""
  has_pipeline = var.pipeline_service_account != ""
}
