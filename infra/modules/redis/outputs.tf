output "url" {
  description = "RAGWB_REDIS, without its password."
  value       = "rediss://${aws_elasticache_replication_group.this.primary_endpoint_address}:6379/0"
}
