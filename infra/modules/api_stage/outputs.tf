output "url" {
  description = "Where the API answers."
  value       = aws_api_gateway_stage.this.invoke_url
}

output "stage" {
  description = "Name of the stage."
  value       = aws_api_gateway_stage.this.stage_name
}
