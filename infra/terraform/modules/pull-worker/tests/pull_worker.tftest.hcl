# Runs with a mocked provider: `terraform -chdir=infra/terraform/modules/pull-worker test` needs no project and no credentials.
# Plans alone: the subscription has prevent_destroy, and a run that applies destroys at its end.

mock_provider "google" {}

variables {
  project_id        = "example-project"
  project_number    = "123456789012"
  region            = "europe-west1"
  name              = "meshpass-enrichment-worker"
  service_account   = "meshpass-worker@example-project.iam.gserviceaccount.com"
  subscription      = "meshpass-enrichment-worker"
  trigger_topic     = "user-events"
  dead_letter_topic = "projects/example-project/topics/user-events-dead-letter"
  undelivered_topic = "projects/example-project/topics/user-events-undelivered"
  bigquery_table    = "example-project.enrichment.user_events"
  image_repository  = "meshpass"
  network           = "meshpass"
  subnet            = "meshpass-functions"
  secrets           = { gateway_ca = { project = "example-project", secret = "gateway-ca" } }
}

run "without_an_image" {
  command = plan

  assert {
    condition     = length(google_cloud_run_v2_worker_pool.this) == 0 && output.worker_pool == null
    error_message = "Without an image there is nothing to run."
  }

  assert {
    condition     = google_pubsub_subscription.this.enable_exactly_once_delivery == false && google_pubsub_subscription.this.dead_letter_policy[0].max_delivery_attempts == 100
    error_message = "The subscription has the defaults of its delivery."
  }
}

run "a_worker_pool" {
  command = plan

  variables {
    image       = "europe-west1-docker.pkg.dev/example-project/meshpass/enrichment@sha256:0000000000000000000000000000000000000000000000000000000000000000"
    environment = { GKE_GATEWAY_CA_FILE = "/etc/meshpass/gateway-ca.pem", LOG_SUCCESS_SAMPLE = "100" }
    delivery    = { ordering = true, exactly_once = true, retention_s = 2678400 }
    instances   = 3
    deployers   = ["group:platform@example.com"]
  }

  assert {
    condition     = google_cloud_run_v2_worker_pool.this[0].scaling[0].manual_instance_count == 3
    error_message = "The pool has the instances that are asked for."
  }

  assert {
    condition     = google_cloud_run_v2_worker_pool.this[0].template[0].containers[0].volume_mounts[0].mount_path == "/etc/meshpass"
    error_message = "The gateway's CA is mounted where the environment says."
  }

  assert {
    condition     = google_pubsub_subscription.this.enable_message_ordering && google_pubsub_subscription.this.ack_deadline_seconds == 60
    error_message = "Settings that are not given keep their defaults."
  }
}

run "wrong_values" {
  command = plan

  variables {
    service_account = "w@other-project.iam.gserviceaccount.com"
    image           = "europe-west1-docker.pkg.dev/example-project/meshpass/enrichment:latest"
    deployers       = ["allUsers"]
    delivery        = { ack_deadline_s = 5 }
    instances       = 0
  }

  expect_failures = [var.service_account, var.image, var.deployers, var.delivery, var.instances]
}

run "a_key_as_a_file" {
  command = plan

  variables {
    environment = { SIGNING_KEY_FILE = "/etc/key/key.pem" }
  }

  expect_failures = [var.environment]
}
