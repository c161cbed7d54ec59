output "state_bucket" {
  description = "Bucket of the states."
  value       = module.state.bucket
}

output "state_key_arn" {
  description = "Key of the states."
  value       = aws_kms_key.state.arn
}

output "lock_table" {
  description = "Name of the lock table; empty: none."
  value       = one(aws_dynamodb_table.lock[*].name)
}
