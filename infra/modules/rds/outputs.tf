output "endpoint" {
  description = "Where it answers."
  value       = aws_rds_cluster.this.endpoint
}

output "secret_arn" {
  description = "Secret with user and password, rotated by RDS."
  value       = aws_rds_cluster.this.master_user_secret[0].secret_arn
}
