# Planned with a mocked provider: names, grants and what each setting turns on.

mock_provider "google" {}

variables {
  project_id               = "acme-mesh"
  project_number           = "123456789012"
  region                   = "europe-west1"
  function_name            = "meshpass-enrichment"
  lookup_function_name     = "meshpass-enrichment-lookup"
  subscription_name        = "meshpass-enrichment"
  function_service_account = "meshpass-enrichment@acme-mesh.iam.gserviceaccount.com"
  lookup_service_account   = "meshpass-lookup@acme-mesh.iam.gserviceaccount.com"
  trigger_service_account  = "meshpass-trigger@acme-mesh.iam.gserviceaccount.com"
  build_service_account    = "meshpass-build@acme-mesh.iam.gserviceaccount.com"
  trigger_topic            = "user-events"
  dead_letter_topic        = "projects/acme-mesh/topics/user-events-dead-letter"
  undelivered_topic        = "projects/acme-mesh/topics/user-events-undelivered"
  bigquery_table           = "acme-mesh.enrichment.user_events"
  signing_key_secret_id    = "projects/acme-mesh/secrets/meshpass-signing-key/versions/active"
  gateway_ca_secret        = "gateway-ca"
}

run "signed_jwt" {
  command = plan

  assert {
    condition     = google_secret_manager_secret.signing_key[0].secret_id == "meshpass-signing-key"
    error_message = "The secret's name is the part between secrets/ and /versions/."
  }

  assert {
    condition     = google_pubsub_topic_iam_member.pubsub_publishes_undelivered.member == "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
    error_message = "Pub/Sub's service agent publishes what it cannot deliver."
  }

  assert {
    condition     = length(google_cloud_run_v2_service_iam_member.trigger_calls_function) == 0 && length(google_pubsub_subscription_iam_member.pubsub_acknowledges_undelivered) == 0
    error_message = "Nothing is granted on objects that deploy/deploy has yet to make."
  }

  assert {
    condition     = length(google_monitoring_alert_policy.this) == 4
    error_message = "There is one policy for each file of deploy/alerts."
  }

  assert {
    condition     = strcontains(google_bigquery_table.deduplicated.view[0].query, "FROM `acme-mesh.enrichment.user_events`") && !strcontains(google_bigquery_table.deduplicated.view[0].query, "{")
    error_message = "All gaps of the view's query are filled."
  }

  assert {
    condition     = length(google_billing_budget.this) == 0
    error_message = "There is no budget without a billing account."
  }
}

run "google_id_token_has_no_key_anywhere" {
  command = plan

  variables {
    mesh_auth = "google-id-token"
  }

  assert {
    condition     = length(google_secret_manager_secret.signing_key) + length(google_kms_crypto_key.signing) == 0
    error_message = "With google-id-token no signing key is made."
  }

  assert {
    condition     = length(google_secret_manager_secret_iam_member.function_reads_signing_key) + length(google_kms_crypto_key_iam_member.function_signs) == 0
    error_message = "With google-id-token no account may read a signing key."
  }
}

run "a_key_in_kms" {
  command = plan

  variables {
    signing_key           = "kms"
    signing_key_secret_id = ""
  }

  assert {
    condition     = google_kms_crypto_key.signing[0].version_template[0].algorithm == "EC_SIGN_P256_SHA256" && google_kms_crypto_key.signing[0].version_template[0].protection_level == "HSM"
    error_message = "The key signs ES256 and is protected by hardware."
  }

  assert {
    condition     = length(google_secret_manager_secret.signing_key) == 0 && google_kms_crypto_key_iam_member.lookup_signs[0].role == "roles/cloudkms.signerVerifier"
    error_message = "Both functions sign with the one key, and no secret is made."
  }
}

run "everything_on" {
  command = plan

  variables {
    function_deployed        = true
    function_trigger         = "eventarc"
    pipeline_service_account = "meshpass-pipeline@acme-mesh.iam.gserviceaccount.com"
    shared_subnet            = "projects/acme-host/regions/europe-west1/subnetworks/functions"
    gateway_ca_secret        = "projects/acme-pki/secrets/gateway-ca/versions/3"
    create_gateway_ca_secret = false
    pseudonym_key_secret_id  = "projects/acme-mesh/secrets/pseudonyms/versions/1"
    dead_letters_in_bigquery = true
    publishers               = ["serviceAccount:shop@acme-mesh.iam.gserviceaccount.com"]
    table_readers            = ["group:analysts@example.com"]
    request_log_readers      = ["group:privacy@example.com"]
    notification_emails      = ["oncall@example.com"]
    billing_account          = "012345-6789AB-CDEF01"
    encryption_key           = "projects/acme-mesh/locations/europe-west1/keyRings/r/cryptoKeys/k"
    event_schema             = { type = "AVRO", definition = "{\"type\":\"string\"}" }
  }

  assert {
    condition     = google_compute_subnetwork_iam_member.run_uses_shared_subnet[0].project == "acme-host" && google_compute_subnetwork_iam_member.run_uses_shared_subnet[0].subnetwork == "functions"
    error_message = "Cloud Run's service agent may use the subnet in the host project."
  }

  assert {
    condition     = google_secret_manager_secret_iam_member.function_reads_gateway_ca[0].project == "acme-pki" && google_secret_manager_secret_iam_member.function_reads_gateway_ca[0].secret_id == "gateway-ca"
    error_message = "The grant goes to the CA's secret where it lies."
  }

  assert {
    condition     = google_pubsub_topic.trigger.schema_settings[0].encoding == "JSON"
    error_message = "Events are JSON unless said otherwise."
  }

  assert {
    condition     = google_billing_budget.this[0].amount[0].specified_amount[0].units == "100"
    error_message = "The budget is in whole units."
  }
}

run "values_that_cannot_work_are_refused" {
  command = plan

  variables {
    undelivered_topic        = "projects/acme-mesh/topics/user-events"
    publishers               = ["allUsers"]
    table_readers            = ["allAuthenticatedUsers"]
    request_log_readers      = ["allUsers"]
    signing_key_secret_id    = "projects/acme-mesh/locations/europe-west1/secrets/key/versions/1"
    function_service_account = "meshpass-enrichment@other-mesh.iam.gserviceaccount.com"
  }

  expect_failures = [
    var.undelivered_topic,
    var.publishers,
    var.table_readers,
    var.request_log_readers,
    var.signing_key_secret_id,
    var.function_service_account,
  ]
}
