# Budgets and anomalies speak while compute sleeps, so they are kept. Money is divided by the Environment tag.
resource "aws_budgets_budget" "month" {
  name         = "${var.name}-month"
  budget_type  = "COST"
  limit_amount = tostring(var.month_usd)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"
  tags         = var.tags

  cost_filter {
    name   = "TagKeyValue"
    values = [format("user:Environment$%s", var.tags["Environment"])]
  }

  dynamic "notification" {
    for_each = var.thresholds_percent

    content {
      notification_type         = "ACTUAL"
      comparison_operator       = "GREATER_THAN"
      threshold                 = notification.value
      threshold_type            = "PERCENTAGE"
      subscriber_sns_topic_arns = [var.topic_arn]
    }
  }

  notification {
    notification_type         = "FORECASTED"
    comparison_operator       = "GREATER_THAN"
    threshold                 = 100
    threshold_type            = "PERCENTAGE"
    subscriber_sns_topic_arns = [var.topic_arn]
  }
}

resource "aws_ce_anomaly_monitor" "this" {
  name         = var.name
  monitor_type = "CUSTOM"
  tags         = var.tags

  monitor_specification = jsonencode({
    And  = null, CostCategories = null, Dimensions = null, Not = null, Or = null
    Tags = { Key = "Environment", MatchOptions = null, Values = [var.tags["Environment"]] }
  })
}

resource "aws_ce_anomaly_subscription" "this" {
  name             = var.name
  frequency        = "IMMEDIATE" # SNS knows no other
  monitor_arn_list = [aws_ce_anomaly_monitor.this.arn]
  tags             = var.tags

  subscriber {
    type    = "SNS"
    address = var.topic_arn
  }

  threshold_expression {
    dimension {
      key           = "ANOMALY_TOTAL_IMPACT_ABSOLUTE"
      match_options = ["GREATER_THAN_OR_EQUAL"]
      values        = [tostring(var.anomaly_usd)]
    }
  }
}

# Only the account that pays may switch these on, once for all environments.
resource "aws_ce_cost_allocation_tag" "this" {
  for_each = var.activate_cost_tags ? toset(["Project", "Environment", "CostCenter", "Owner"]) : toset([])

  tag_key = each.value
  status  = "Active"
}
