# The worker's account, with what the function's has, and its own subscription in place of deliveries.

resource "google_service_account" "pull_worker" {
  project      = var.project_id
  account_id   = split("@", var.service_account)[0]
  display_name = "The pull worker ${var.name}"
}

# Why: on the subscription. On the project it could read and acknowledge the events of every other reader.
resource "google_pubsub_subscription_iam_member" "pulls" {
  project      = var.project_id
  subscription = google_pubsub_subscription.this.name
  role         = "roles/pubsub.subscriber"
  member       = google_service_account.pull_worker.member
}

# The worker reads how its subscription delivers: ack deadline, ordering, exactly-once.
resource "google_pubsub_subscription_iam_member" "reads_settings" {
  project      = var.project_id
  subscription = google_pubsub_subscription.this.name
  role         = "roles/pubsub.viewer"
  member       = google_service_account.pull_worker.member
}

resource "google_bigquery_table_iam_member" "writes_rows" {
  project    = var.project_id
  dataset_id = local.dataset
  table_id   = local.table
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.pull_worker.member
}

resource "google_pubsub_topic_iam_member" "publishes_dead_letters" {
  project = split("/", var.dead_letter_topic)[1]
  topic   = split("/", var.dead_letter_topic)[3]
  role    = "roles/pubsub.publisher"
  member  = google_service_account.pull_worker.member
}

resource "google_secret_manager_secret_iam_member" "reads_secrets" {
  for_each = var.secrets

  project   = each.value.project
  secret_id = each.value.secret
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.pull_worker.member
}

# Why: Cloud Run pulls the image as its service agent, which may read the whole project. A machine of your own and GKE's
# nodes need the right on the one repository.
resource "google_artifact_registry_repository_iam_member" "pulls_images" {
  project    = var.project_id
  location   = var.region
  repository = var.image_repository
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.pull_worker.member
}

# Why: on this account and not on the project, where it would be the right to act as every account.
resource "google_service_account_iam_member" "deployers_act_as_it" {
  for_each = toset(var.deployers)

  service_account_id = google_service_account.pull_worker.name
  role               = "roles/iam.serviceAccountUser"
  member             = each.value
}

# Why: Pub/Sub hands over what it cannot deliver only where its own agent may acknowledge.
resource "google_pubsub_subscription_iam_member" "pubsub_acknowledges_undelivered" {
  project      = var.project_id
  subscription = google_pubsub_subscription.this.name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}
