output "cluster" {
  description = "Name of the cluster."
  value       = module.eks.name
}

output "url" {
  description = "Where the service answers."
  value       = var.host == "" ? module.alb.url : "https://${var.host}"
}

output "load_balancer" {
  description = "What the host's DNS name points to."
  value       = module.alb.dns_name
}

output "api_url" {
  description = "Where API Gateway answers."
  value       = module.api_stage.url
}

output "target_group_arn" {
  description = "For the TargetGroupBinding."
  value       = module.alb.target_group_arn
}

output "autoscaling_group" {
  description = "Group of the nodes."
  value       = module.eks.autoscaling_group
}

output "redis_url" {
  description = "RAGWB_REDIS, where Redis is managed."
  value       = one(module.redis[*].url)
}

# For the pods' ConfigMap, beside foundation's output of this name: by which names they are called, and whose X-Forwarded-For they believe.
output "environment" {
  description = "What the workbench reads of the load balancer."
  value = {
    RAGWB_HOSTS         = trimspace("${var.host} ${module.alb.dns_name}") # API Gateway calls the load balancer by the latter where there is no host
    FORWARDED_ALLOW_IPS = local.foundation.vpc_cidr                       # the load balancer, and API Gateway's link before it
  }
}

output "image_digest" {
  description = "The image that runs."
  value       = var.image_digest
}
