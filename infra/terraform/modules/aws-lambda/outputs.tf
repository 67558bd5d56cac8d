output "lambda_function_arn" {
  description = "The function: LAMBDA_FUNCTION_ARN of bridge.env."
  value       = aws_lambda_function.this.arn
}

output "target_group_arn" {
  description = "The target group: TARGET_GROUP_ARN of bridge.env."
  value       = aws_lb_target_group.this.arn
}

output "role_arn" {
  description = "Role of the function, which Google's workload identity pool trusts."
  value       = aws_iam_role.function.arn
}

output "load_balancer_name" {
  description = "DNS name of the load balancer, the target of alb_host."
  value       = aws_lb.this.dns_name
}
