output "name" {
  description = "The cluster's name."
  value       = aws_eks_cluster.this.name
}

output "endpoint" {
  description = "Address of the Kubernetes API."
  value       = aws_eks_cluster.this.endpoint
}

output "node_security_group_id" {
  description = "Security group that EKS puts on nodes and pods."
  value       = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
}

output "autoscaling_group" {
  description = "Group of the nodes."
  value       = aws_eks_node_group.this.resources[0].autoscaling_groups[0].name
}
