# The load balancer is Terraform's, not a controller's: what Terraform made it also destroys. Pods attach by TargetGroupBinding.
resource "aws_security_group" "this" {
  name        = "${var.name}-alb"
  description = "Load balancer of ${var.name}"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-alb" })
}

resource "aws_vpc_security_group_ingress_rule" "in" {
  for_each = var.allowed_cidrs

  security_group_id = aws_security_group.this.id
  description       = "HTTPS from ${each.key}"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = local.port
  to_port           = local.port
  tags              = var.tags
}

resource "aws_vpc_security_group_egress_rule" "pods" {
  security_group_id            = aws_security_group.this.id
  description                  = "To the pods"
  referenced_security_group_id = var.node_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = var.port
  to_port                      = var.port
  tags                         = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "pods" {
  security_group_id            = var.node_security_group_id
  description                  = "From the load balancer"
  referenced_security_group_id = aws_security_group.this.id
  ip_protocol                  = "tcp"
  from_port                    = var.port
  to_port                      = var.port
  tags                         = var.tags
}

resource "aws_lb" "this" {
  name                       = var.name
  load_balancer_type         = "application"
  internal                   = var.internal
  security_groups            = [aws_security_group.this.id]
  subnets                    = var.subnet_ids
  drop_invalid_header_fields = true
  enable_deletion_protection = false # paused by destroying it
  enable_zonal_shift         = true
  idle_timeout               = 300 # streamed answers and WebSockets
  tags                       = var.tags

  dynamic "access_logs" {
    for_each = var.logs_bucket == "" ? [] : [var.logs_bucket]

    content {
      bucket  = access_logs.value
      prefix  = "alb"
      enabled = true
    }
  }
}

resource "aws_lb_target_group" "this" {
  name                 = var.name # as k8s/overlays names it
  vpc_id               = var.vpc_id
  target_type          = "ip"
  protocol             = "HTTP"
  port                 = var.port
  deregistration_delay = 30
  tags                 = var.tags

  health_check {
    path                = "/readyz"
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }

  # The app's WebSocket and its page must meet the same pod.
  stickiness {
    type            = "lb_cookie"
    cookie_duration = 3600
  }
}

resource "aws_lb_listener" "this" {
  load_balancer_arn = aws_lb.this.arn
  port              = local.port
  protocol          = local.tls ? "HTTPS" : "HTTP"
  ssl_policy        = local.tls ? "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09" : null
  certificate_arn   = local.tls ? var.certificate_arn : null
  tags              = var.tags

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this.arn
  }
}

# Before a load balancer that the internet reaches. An internal one is reached by listed networks and by API Gateway's keys only.
resource "aws_wafv2_web_acl" "this" {
  count = var.internal ? 0 : 1

  name        = var.name
  description = "What the internet may ask of ${var.name}"
  scope       = "REGIONAL"
  rule_json   = jsonencode(local.firewall) # as AWS's API has it: what the blocks say is nested without an end
  tags        = var.tags

  default_action {
    allow {}
  }

  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = var.name
    sampled_requests_enabled   = false # a sample would show questions
  }
}

resource "aws_wafv2_web_acl_association" "this" {
  count = var.internal ? 0 : 1

  resource_arn = aws_lb.this.arn
  web_acl_arn  = aws_wafv2_web_acl.this[0].arn
}

locals {
  tls  = var.certificate_arn != ""
  port = local.tls ? 443 : 80

  # Counted, not blocked: uploads and questions with quoted text are larger than 8 KB, and hold what looks like a script.
  managed_rules = {
    AWSManagedRulesCommonRuleSet          = { priority = 1, counted = ["SizeRestrictions_BODY", "CrossSiteScripting_BODY"] }
    AWSManagedRulesKnownBadInputsRuleSet  = { priority = 2, counted = [] }
    AWSManagedRulesAmazonIpReputationList = { priority = 3, counted = [] }
  }
  firewall = concat(
    [{
      Name             = "too-many-requests"
      Priority         = 0
      Statement        = { RateBasedStatement = { Limit = var.requests_in_five_minutes, AggregateKeyType = "IP" } }
      Action           = { Block = {} }
      VisibilityConfig = { SampledRequestsEnabled = false, CloudWatchMetricsEnabled = true, MetricName = "${var.name}-too-many-requests" }
    }],
    [for name, rule in local.managed_rules : {
      Name     = name
      Priority = rule.priority
      Statement = { ManagedRuleGroupStatement = {
        VendorName          = "AWS"
        Name                = name
        RuleActionOverrides = [for each in rule.counted : { Name = each, ActionToUse = { Count = {} } }]
      } }
      OverrideAction   = { None = {} }
      VisibilityConfig = { SampledRequestsEnabled = false, CloudWatchMetricsEnabled = true, MetricName = "${var.name}-${name}" }
    }],
  )
}
