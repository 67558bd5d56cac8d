# The bridge's side in AWS: a function behind a load balancer that only EKS's ingress gateway reaches. Nothing here has a
# public address: the load balancer is internal, the function has no URL and no API gateway.

locals {
  kms_key_arn = var.kms_key_arn == "" ? null : var.kms_key_arn

  environment = merge(
    { TARGET_GROUP_ARN = aws_lb_target_group.this.arn },
    var.lookup_url == "" ? {} : { LOOKUP_URL = var.lookup_url },
    var.google_credentials_file == "" ? {} : { GOOGLE_APPLICATION_CREDENTIALS = var.google_credentials_file },
  )
}

# --- the function ---

# Why: made here and not by the first invocation: Lambda's own log group has no retention.
resource "aws_cloudwatch_log_group" "function" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_days
  kms_key_id        = local.kms_key_arn
  tags              = var.tags
}

resource "aws_iam_role" "function" {
  name = var.name
  tags = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

# Why: its own log and nothing else. AWSLambdaBasicExecutionRole may create log groups, and write to every one. The lookup in
# Google Cloud needs no right in AWS: Google's federation asks AWS who the role is.
resource "aws_iam_role_policy" "function_logs" {
  name = "own-log"
  role = aws_iam_role.function.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "arn:aws:logs:${var.region}:${var.account_id}:log-group:/aws/lambda/${var.name}:log-stream:*"
    }]
  })
}

resource "aws_lambda_function" "this" {
  function_name    = var.name
  role             = aws_iam_role.function.arn
  runtime          = var.runtime
  architectures    = ["arm64"]
  handler          = "lambda_function.lambda_handler"
  filename         = var.package_file
  source_code_hash = filebase64sha256(var.package_file)
  timeout          = var.timeout_s
  memory_size      = var.memory_mb
  kms_key_arn      = local.kms_key_arn
  tags             = var.tags

  # Why: a ceiling: a loop of retries costs no more than this, and takes no invocations from other functions.
  reserved_concurrent_executions = var.max_concurrency

  # Why: the alias points at a version, so a roll-back is one change of a number.
  publish = true

  environment {
    variables = local.environment
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.function.name
  }

  depends_on = [aws_iam_role_policy.function_logs]
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  function_name    = aws_lambda_function.this.function_name
  function_version = aws_lambda_function.this.version
}

# Why: one target group of one account, as function-aws/resource-policy.json shows it. Without source_arn every load balancer
# of every account could invoke the function.
resource "aws_lambda_permission" "target_group" {
  statement_id   = "only-the-target-group-of-the-bridge"
  action         = "lambda:InvokeFunction"
  principal      = "elasticloadbalancing.amazonaws.com"
  function_name  = aws_lambda_function.this.function_name
  qualifier      = aws_lambda_alias.live.name
  source_arn     = aws_lb_target_group.this.arn
  source_account = var.account_id
}

# --- the load balancer ---

resource "aws_security_group" "load_balancer" {
  name        = "${var.name}-load-balancer"
  description = "HTTPS from the ingress gateway of EKS"
  vpc_id      = var.vpc_id
  tags        = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "gateway" {
  security_group_id            = aws_security_group.load_balancer.id
  description                  = "HTTPS from the ingress gateway of EKS"
  referenced_security_group_id = var.gateway_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  tags                         = var.tags
}

# No rule for egress: a load balancer invokes a function through Lambda's API and not through the VPC.

resource "aws_lb" "this" {
  name               = var.name
  load_balancer_type = "application"
  # Why: the default is a public address.
  internal        = true
  ip_address_type = "ipv4"
  subnets         = var.subnet_ids
  security_groups = [aws_security_group.load_balancer.id]
  tags            = var.tags

  # Why: a malformed header may be read otherwise by the next hop.
  drop_invalid_header_fields = true
  # Why: requests that two parsers read differently are refused.
  desync_mitigation_mode = "strictest"

  enable_deletion_protection = true

  dynamic "access_logs" {
    for_each = var.access_log_bucket == "" ? [] : [var.access_log_bucket]

    content {
      bucket  = access_logs.value
      enabled = true
    }
  }
}

resource "aws_lb_target_group" "this" {
  name        = var.name
  target_type = "lambda"
  tags        = var.tags

  # Why: repeated headers and parameters arrive as they were sent. The function reads both shapes of event.
  lambda_multi_value_headers_enabled = true

  # Why: a health check is an invocation that is paid for, and says nothing that the alarms do not.
  health_check {
    enabled = false
  }
}

resource "aws_lb_target_group_attachment" "function" {
  target_group_arn = aws_lb_target_group.this.arn
  target_id        = aws_lambda_alias.live.arn

  # Why: the load balancer refuses a function that it may not invoke.
  depends_on = [aws_lambda_permission.target_group]
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.this.arn
  port              = 443
  protocol          = "HTTPS"
  certificate_arn   = var.certificate_arn
  # Why: TLS 1.2 and 1.3, with forward secrecy.
  ssl_policy = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  tags       = var.tags

  # Why: a request for another host, or for none, invokes nothing.
  default_action {
    type = "fixed-response"

    fixed_response {
      content_type = "text/plain"
      message_body = "no rule of the listener matches"
      status_code  = "404"
    }
  }
}

resource "aws_lb_listener_rule" "bridge" {
  listener_arn = aws_lb_listener.https.arn
  priority     = 1
  tags         = var.tags

  condition {
    host_header {
      values = [var.bridge_host]
    }
  }

  # Why: the gateways allow GET alone; so does this hop.
  condition {
    http_request_method {
      values = ["GET"]
    }
  }

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this.arn
  }
}

resource "aws_wafv2_web_acl_association" "this" {
  count = var.web_acl_arn == "" ? 0 : 1

  resource_arn = aws_lb.this.arn
  web_acl_arn  = var.web_acl_arn
}

resource "aws_route53_record" "load_balancer" {
  count = var.zone_id == "" ? 0 : 1

  zone_id = var.zone_id
  name    = var.alb_host
  type    = "A"

  # Why: an alias follows the load balancer's addresses, which change.
  alias {
    name                   = aws_lb.this.dns_name
    zone_id                = aws_lb.this.zone_id
    evaluate_target_health = false
  }
}
