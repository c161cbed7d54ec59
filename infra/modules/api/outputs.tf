output "id" {
  description = "The API."
  value       = aws_api_gateway_rest_api.this.id
}

output "root_resource_id" {
  description = "Its root."
  value       = aws_api_gateway_rest_api.this.root_resource_id
}

output "key_ids" {
  description = "Keys by client."
  value       = { for client, key in aws_api_gateway_api_key.this : client => key.id }
}
