# The table as the function checks it at its start: both read function/enrichment/table.json. What a list of columns
# cannot say, such as the partition, is in table_layout.json beside it.

locals {
  table_file   = coalesce(var.table_file, "${local.root}/function/enrichment/table.json")
  table_layout = jsondecode(file(replace(local.table_file, "/\\.json$/", "_layout.json")))

  # The view's query is function/sql/deduplicated_view.sql without its CREATE statement, which BigQuery's API has as
  # fields of their own, and with the gaps filled as `python -m enrichment sql` fills them.
  view_statement = split("\nAS\n", file("${local.root}/function/sql/deduplicated_view.sql"))
  view_gaps = {
    "{table}" = "${var.project_id}.${local.dataset}.${local.table}"
    "{event}" = join("`, `", var.view_columns.event)
    "{order}" = join("`, `", var.view_columns.order)
  }
  view_query = replace(replace(replace(
    local.view_statement[1],
    "{table}", local.view_gaps["{table}"]),
    "{event}", local.view_gaps["{event}"]),
    "{order}", local.view_gaps["{order}"]
  )

  longest_retention_ms = 2678400 * 1000
}

resource "google_bigquery_dataset" "this" {
  project     = var.project_id
  dataset_id  = local.dataset
  location    = coalesce(var.bigquery_location, var.region)
  description = "Rows of the function ${var.function_name}."
  labels      = var.labels

  # Why: the default access lets everyone with a basic role on the project read or write the rows.
  access {
    role          = "OWNER"
    special_group = "projectOwners"
  }

  # Why: seven days to take back a wrong DELETE or a wrong load.
  max_time_travel_hours = "168"

  dynamic "default_encryption_configuration" {
    for_each = var.encryption_key == null ? [] : [var.encryption_key]

    content {
      kms_key_name = default_encryption_configuration.value
    }
  }

  delete_contents_on_destroy = false

  lifecycle {
    prevent_destroy = true
    # Why: grants on the dataset that other tools made stay.
    ignore_changes = [access]
  }
}

resource "google_bigquery_table" "this" {
  project     = var.project_id
  dataset_id  = google_bigquery_dataset.this.dataset_id
  table_id    = local.table
  description = local.table_layout.description
  labels      = var.labels
  schema      = jsonencode(jsondecode(file(local.table_file)))
  clustering  = local.table_layout.clustering.fields

  time_partitioning {
    type  = local.table_layout.timePartitioning.type
    field = local.table_layout.timePartitioning.field
  }

  deletion_protection = true

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_bigquery_table" "deduplicated" {
  project     = var.project_id
  dataset_id  = google_bigquery_dataset.this.dataset_id
  table_id    = "${local.table}_deduplicated"
  description = regex("description = '([^']*)'", local.view_statement[0])[0]
  labels      = var.labels

  view {
    query          = local.view_query
    use_legacy_sql = false
  }

  # Why: a view holds no data: it can be made anew.
  deletion_protection = false

  depends_on = [google_bigquery_table.this]
}

resource "google_bigquery_table" "dead_letters" {
  count = var.dead_letters_in_bigquery ? 1 : 0

  project     = var.project_id
  dataset_id  = google_bigquery_dataset.this.dataset_id
  table_id    = "${local.table}_dead_letters"
  description = "Dead letters as they were published, written by a BigQuery subscription."
  labels      = var.labels
  schema      = file("${local.root}/function/sql/dead_letters_table.json")

  # Why: payloads lie no longer here than in the topic's subscription.
  time_partitioning {
    type          = "DAY"
    field         = "publish_time"
    expiration_ms = local.longest_retention_ms
  }

  deletion_protection = true
}
