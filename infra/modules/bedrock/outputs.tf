output "guardrail_id" {
  description = "RAGWB_GUARDRAIL_ID."
  value       = aws_bedrock_guardrail.this.guardrail_id
}

output "guardrail_arn" {
  description = "The guardrail's ARN."
  value       = aws_bedrock_guardrail.this.guardrail_arn
}

output "guardrail_version" {
  description = "RAGWB_GUARDRAIL_VERSION."
  value       = aws_bedrock_guardrail_version.this.version
}

output "inference_profiles" {
  description = "ARNs of the application inference profiles by role."
  value       = { for role, profile in aws_bedrock_inference_profile.this : role => profile.arn }
}
