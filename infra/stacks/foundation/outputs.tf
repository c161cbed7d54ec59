output "name" {
  description = "Prefix of every name."
  value       = local.name
}

output "vpc_id" {
  description = "The VPC."
  value       = module.vpc.id
}

output "vpc_cidr" {
  description = "Its addresses."
  value       = module.vpc.cidr
}

output "public_subnets" {
  description = "Public subnets by zone."
  value       = module.vpc.public_subnets
}

output "private_subnets" {
  description = "Private subnets by zone."
  value       = module.vpc.private_subnets
}

output "private_route_tables" {
  description = "Route tables of the private subnets by zone."
  value       = module.vpc.private_route_tables
}

output "kms_key_arn" {
  description = "Key of the data."
  value       = module.kms.arn
}

output "bucket" {
  description = "Bucket of the data."
  value       = module.data.bucket
}

output "logs_bucket" {
  description = "Bucket of the logs."
  value       = module.logs_bucket.bucket
}

output "repositories" {
  description = "Image repositories by name."
  value       = module.ecr.urls
}

output "secret_arns" {
  description = "Secrets by name."
  value       = module.secrets.arns
}

output "cluster_role_arn" {
  description = "Role of the control plane."
  value       = module.iam.cluster_role_arn
}

output "node_role_arn" {
  description = "Role of the nodes."
  value       = module.iam.node_role_arn
}

output "pods" {
  description = "Roles of the pods."
  value       = module.iam.pods
}

output "api_id" {
  description = "The REST API."
  value       = module.api.id
}

output "api_root_resource_id" {
  description = "Its root."
  value       = module.api.root_resource_id
}

output "api_key_ids" {
  description = "Its keys by client."
  value       = module.api.key_ids
}

output "topic_arn" {
  description = "Topic of the alerts."
  value       = module.notifications.topic_arn
}

output "api_log_group_arn" {
  description = "Log group of API Gateway."
  value       = module.notifications.log_group_arns["api"]
}

output "github_roles" {
  description = "Roles of the workflows."
  value       = try(module.github[0].roles, {})
}

# For the pods' ConfigMap: nbs/00_start/01_settings.
output "environment" {
  description = "What the workbench reads."
  value = merge({
    RAGWB_PROFILE           = "aws"
    RAGWB_STORAGE           = "s3://${module.data.bucket}/index"
    DOCUMENTS               = "s3://${module.data.bucket}/documents"
    RAGWB_REGION            = var.region
    RAGWB_BUCKET_OWNER      = var.account_id
    RAGWB_KMS_KEY           = module.kms.arn
    RAGWB_GUARDRAIL_ID      = module.bedrock.guardrail_id
    RAGWB_GUARDRAIL_VERSION = module.bedrock.guardrail_version
    RAGWB_INFERENCE_PROFILE = values(var.models)[0].profile
    }, var.shared_mlflow ? {
    MLFLOW_DATABASE              = module.rds[0].endpoint
    MLFLOW_ARTIFACTS_DESTINATION = "s3://${module.data.bucket}/mlflow"
  } : {})
}

output "mlflow_secret_arn" {
  description = "Secret with user and password of the shared MLflow's database, for k8s/components/mlflow; empty: there is none."
  value       = try(module.rds[0].secret_arn, "")
}
