output "arn" {
  description = "The load balancer."
  value       = aws_lb.this.arn
}

output "arn_suffix" {
  description = "Its name in CloudWatch."
  value       = aws_lb.this.arn_suffix
}

output "dns_name" {
  description = "Its address."
  value       = aws_lb.this.dns_name
}

output "listener_arn" {
  description = "Its listener."
  value       = aws_lb_listener.this.arn
}

output "security_group_id" {
  description = "Its security group."
  value       = aws_security_group.this.id
}

output "target_group_arn" {
  description = "For the TargetGroupBinding."
  value       = aws_lb_target_group.this.arn
}

output "target_group_arn_suffix" {
  description = "The target group's name in CloudWatch."
  value       = aws_lb_target_group.this.arn_suffix
}

output "url" {
  description = "Where the service answers."
  value       = "${local.tls ? "https" : "http"}://${aws_lb.this.dns_name}"
}
