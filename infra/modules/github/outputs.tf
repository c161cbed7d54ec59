output "roles" {
  description = "Role ARNs by what they do: for `role-to-assume`."
  value       = { for name, role in aws_iam_role.this : name => role.arn }
}
