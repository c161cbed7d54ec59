# What AWS itself sees of the service. The application's own metrics, rules and dashboards are Prometheus' and Grafana's: k8s/.
locals {
  alarms = merge(
    {
      errors  = { namespace = "AWS/ApplicationELB", metric = "HTTPCode_Target_5XX_Count", statistic = "Sum", above = var.errors_in_5_minutes, dimensions = { LoadBalancer = var.alb_arn_suffix }, says = "The service answers with errors" }
      latency = { namespace = "AWS/ApplicationELB", metric = "TargetResponseTime", statistic = "p95", above = var.p95_s, dimensions = { LoadBalancer = var.alb_arn_suffix }, says = "Answers are slow" }
      pods    = { namespace = "AWS/ApplicationELB", metric = "UnHealthyHostCount", statistic = "Maximum", above = 0, dimensions = { LoadBalancer = var.alb_arn_suffix, TargetGroup = var.target_group_arn_suffix }, says = "A pod is not ready" }
      nat     = { namespace = "AWS/NATGateway", metric = "ErrorPortAllocation", statistic = "Sum", above = 0, dimensions = {}, says = "The way out has no free ports" }
      bedrock = { namespace = "AWS/Bedrock", metric = "InvocationThrottles", statistic = "Sum", above = var.throttles_in_5_minutes, dimensions = {}, says = "Bedrock throttles: a quota is too small" }
    },
  )
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.says}. Runbook: guides/12_run_on_aws.md"
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  period              = 300
  evaluation_periods  = 2
  datapoints_to_alarm = 2
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.above
  treat_missing_data  = "notBreaching" # a service that nobody asks is not broken
  alarm_actions       = [var.topic_arn]
  ok_actions          = [var.topic_arn]
  tags                = var.tags
}

# ACM renews a certificate that it validates by DNS by itself, two months before its end. Less than a month left: it cannot.
resource "aws_cloudwatch_metric_alarm" "certificate" {
  count = var.certificate_arn == "" ? 0 : 1

  alarm_name          = "${var.name}-certificate"
  alarm_description   = "The load balancer's certificate ends in less than a month and was not renewed. Runbook: guides/13_deploy_and_watch.md"
  namespace           = "AWS/CertificateManager"
  metric_name         = "DaysToExpiry"
  dimensions          = { CertificateArn = var.certificate_arn }
  statistic           = "Minimum"
  period              = 86400
  evaluation_periods  = 1
  comparison_operator = "LessThanThreshold"
  threshold           = 30
  treat_missing_data  = "missing"
  alarm_actions       = [var.topic_arn]
  ok_actions          = [var.topic_arn]
  tags                = var.tags
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = [
      for number, alarm in keys(local.alarms) : {
        type = "metric", width = 12, height = 6, x = (number % 2) * 12, y = floor(number / 2) * 6
        properties = {
          title = local.alarms[alarm].says, region = var.region, period = 300, stat = local.alarms[alarm].statistic
          metrics = [concat([local.alarms[alarm].namespace, local.alarms[alarm].metric],
          flatten([for name, value in local.alarms[alarm].dimensions : [name, value]]))]
          annotations = { horizontal = [{ label = "alarm", value = local.alarms[alarm].above }] }
        }
      }
    ]
  })
}
