output "topic_arn" {
  description = "Topic of the alerts."
  value       = aws_sns_topic.this.arn
}

output "log_group_arns" {
  description = "Log groups by what they hold."
  value       = { for name, group in aws_cloudwatch_log_group.this : name => group.arn }
}
