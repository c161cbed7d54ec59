output "cluster_role_arn" {
  description = "Role of the EKS control plane."
  value       = aws_iam_role.service["cluster"].arn
}

output "node_role_arn" {
  description = "Role of the nodes."
  value       = aws_iam_role.service["node"].arn
}

output "pods" {
  description = "Roles of the pods: namespace, service account and role of each."
  value = {
    for name, pod in local.pods : name => { namespace = pod.namespace, service_account = pod.service_account, role_arn = aws_iam_role.pod[name].arn }
  }
}
