# What the API leads to while compute runs: every path under /v1 goes, streamed, through a private link to the load balancer.
resource "aws_security_group" "link" {
  name        = "${var.name}-vpc-link"
  description = "API Gateway's way to the load balancer of ${var.name}"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-vpc-link" })
}

resource "aws_vpc_security_group_egress_rule" "link" {
  security_group_id            = aws_security_group.link.id
  description                  = "To the load balancer"
  referenced_security_group_id = var.alb_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = var.alb_port
  to_port                      = var.alb_port
  tags                         = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "alb" {
  security_group_id            = var.alb_security_group_id
  description                  = "From API Gateway"
  referenced_security_group_id = aws_security_group.link.id
  ip_protocol                  = "tcp"
  from_port                    = var.alb_port
  to_port                      = var.alb_port
  tags                         = var.tags
}

resource "aws_apigatewayv2_vpc_link" "this" {
  name               = var.name
  subnet_ids         = var.subnet_ids
  security_group_ids = [aws_security_group.link.id]
  tags               = var.tags
}

resource "aws_api_gateway_resource" "v1" {
  rest_api_id = var.api_id
  parent_id   = var.root_resource_id
  path_part   = "v1"
}

resource "aws_api_gateway_resource" "any" {
  rest_api_id = var.api_id
  parent_id   = aws_api_gateway_resource.v1.id
  path_part   = "{path+}"
}

resource "aws_api_gateway_method" "any" {
  rest_api_id        = var.api_id
  resource_id        = aws_api_gateway_resource.any.id
  http_method        = "ANY"
  authorization      = "NONE" # who asks is known by the workbench's own keys (ragwb keys); the gateway's key meters
  api_key_required   = true
  request_parameters = { "method.request.path.path" = true }
}

resource "aws_api_gateway_integration" "any" {
  rest_api_id             = var.api_id
  resource_id             = aws_api_gateway_resource.any.id
  http_method             = aws_api_gateway_method.any.http_method
  type                    = "HTTP_PROXY"
  integration_http_method = "ANY"
  connection_type         = "VPC_LINK"
  connection_id           = aws_apigatewayv2_vpc_link.this.id
  integration_target      = var.alb_arn
  uri                     = "${var.alb_url}/v1/{path}"
  request_parameters      = { "integration.request.path.path" = "method.request.path.path" }
  response_transfer_mode  = "STREAM"
  timeout_milliseconds    = var.timeout_s * 1000
}

resource "aws_api_gateway_deployment" "this" {
  rest_api_id = var.api_id
  description = "Made by Terraform"

  triggers = {
    leads_to = sha1(jsonencode([aws_api_gateway_method.any, aws_api_gateway_integration.any]))
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_api_gateway_stage" "this" {
  rest_api_id          = var.api_id
  deployment_id        = aws_api_gateway_deployment.this.id
  stage_name           = "live"
  xray_tracing_enabled = true
  tags                 = var.tags

  access_log_settings {
    destination_arn = var.log_group_arn
    # No question and no answer: who, what, how long, how it ended.
    format = jsonencode({
      request = "$context.requestId", time = "$context.requestTimeEpoch", ip = "$context.identity.sourceIp", key = "$context.identity.apiKeyId",
      method  = "$context.httpMethod", path = "$context.path", status = "$context.status", ms = "$context.responseLatency", bytes = "$context.responseLength"
    })
  }
}

resource "aws_api_gateway_method_settings" "this" {
  rest_api_id = var.api_id
  stage_name  = aws_api_gateway_stage.this.stage_name
  method_path = "*/*"

  settings {
    metrics_enabled        = true
    logging_level          = "ERROR"
    data_trace_enabled     = false # would log questions and answers
    throttling_rate_limit  = var.requests_per_second
    throttling_burst_limit = var.requests_per_second * 2
  }
}

resource "aws_api_gateway_usage_plan" "this" {
  name        = var.name
  description = "What each client of ${var.name} may ask"
  tags        = var.tags

  api_stages {
    api_id = var.api_id
    stage  = aws_api_gateway_stage.this.stage_name
  }

  throttle_settings {
    rate_limit  = var.requests_per_second
    burst_limit = var.requests_per_second * 2
  }

  quota_settings {
    limit  = var.requests_per_day
    period = "DAY"
  }
}

resource "aws_api_gateway_usage_plan_key" "this" {
  for_each = var.key_ids

  key_id        = each.value
  key_type      = "API_KEY"
  usage_plan_id = aws_api_gateway_usage_plan.this.id
}
