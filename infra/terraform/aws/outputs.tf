# Named as the keys of bridge.env that they go to.

output "lambda_function_arn" {
  description = "LAMBDA_FUNCTION_ARN."
  value       = module.lambda.lambda_function_arn
}

output "target_group_arn" {
  description = "TARGET_GROUP_ARN: the only target group that may invoke the function."
  value       = module.lambda.target_group_arn
}

output "role_arn" {
  description = "Role of the function, for Google's workload identity pool."
  value       = module.lambda.role_arn
}

output "load_balancer_name" {
  description = "Target of ALB_HOST, where zone_id is empty."
  value       = module.lambda.load_balancer_name
}
