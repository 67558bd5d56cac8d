# An output that has the name of a key of infra/contract.env, in lower case, goes back there:
#   terraform output -json > outputs.json && deploy/contract --update-from outputs.json

output "function_subject" {
  description = "FUNCTION_SUBJECT: unique id of the function's account, which the mesh's policies name."
  value       = module.function_platform.function_subject
}

output "lookup_subject" {
  description = "LOOKUP_SUBJECT: unique id of lookup's account."
  value       = module.function_platform.lookup_subject
}

output "reports_subject" {
  description = "REPORTS_SUBJECT: unique id of the caller reports, where its account is made here."
  value       = try(google_service_account.callers["reports"].unique_id, "")
}

output "storefront_subject" {
  description = "STOREFRONT_SUBJECT: unique id of the caller storefront, where its account is made here."
  value       = try(google_service_account.callers["storefront"].unique_id, "")
}

# --- for people ---

output "image_repository" {
  description = "Repository of the function's images."
  value       = module.function_platform.image_repository
}
