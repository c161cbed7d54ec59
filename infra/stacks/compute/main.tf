# What is paid for by the hour. `make pause` destroys all of it, `make resume` makes it again: nothing here keeps anything.
data "terraform_remote_state" "foundation" {
  backend = var.foundation_state.backend
  config  = var.foundation_state.config
}

locals {
  foundation = data.terraform_remote_state.foundation.outputs
  private    = values(local.foundation.private_subnets)
  public     = values(local.foundation.public_subnets)
  github     = local.foundation.github_roles # deploy applies custom resources and their namespace, compute detaches what runs; data-sync starts one job
}

module "nat" {
  source = "../../modules/nat"

  name                 = local.name
  public_subnets       = local.foundation.public_subnets
  private_route_tables = local.foundation.private_route_tables
  one_per_zone         = var.nat_per_zone
  tags                 = local.tags
}

module "eks" {
  source = "../../modules/eks"

  name                = local.name
  kubernetes_version  = var.kubernetes_version
  vpc_id              = local.foundation.vpc_id
  subnet_ids          = local.private
  cluster_role_arn    = local.foundation.cluster_role_arn
  node_role_arn       = local.foundation.node_role_arn
  kms_key_arn         = local.foundation.kms_key_arn
  public_access_cidrs = var.public_access_cidrs
  admin_arns          = merge({ for name in ["deploy", "compute"] : "github-${name}" => local.github[name] if contains(keys(local.github), name) }, var.admin_arns)
  editor_arns         = { for name in ["data-sync"] : "github-${name}" => local.github[name] if contains(keys(local.github), name) }
  instance_types      = var.instance_types
  spot                = var.spot
  nodes               = var.nodes
  schedule            = var.schedule
  pods                = local.foundation.pods
  tags                = local.tags

  depends_on = [module.nat] # nodes fetch their images through it, and leave before it goes
}

module "alb" {
  source = "../../modules/alb"

  name                   = local.name
  vpc_id                 = local.foundation.vpc_id
  subnet_ids             = var.public ? local.public : local.private
  internal               = !var.public
  certificate_arn        = var.certificate_arn
  node_security_group_id = module.eks.node_security_group_id
  allowed_cidrs          = var.public ? var.allowed_cidrs : merge({ vpc = local.foundation.vpc_cidr }, var.allowed_cidrs)
  logs_bucket            = local.foundation.logs_bucket
  tags                   = local.tags
}

module "api_stage" {
  source = "../../modules/api_stage"

  name                  = local.name
  api_id                = local.foundation.api_id
  root_resource_id      = local.foundation.api_root_resource_id
  key_ids               = local.foundation.api_key_ids
  vpc_id                = local.foundation.vpc_id
  subnet_ids            = local.private
  alb_arn               = module.alb.arn
  alb_url               = var.certificate_arn == "" ? module.alb.url : "https://${var.host}" # the certificate is for the host's name
  alb_port              = var.certificate_arn == "" ? 80 : 443
  alb_security_group_id = module.alb.security_group_id
  log_group_arn         = local.foundation.api_log_group_arn
  tags                  = local.tags
}

module "redis" {
  source = "../../modules/redis"
  count  = var.managed_redis ? 1 : 0

  name                   = local.name
  vpc_id                 = local.foundation.vpc_id
  subnet_ids             = local.private
  node_security_group_id = module.eks.node_security_group_id
  kms_key_arn            = local.foundation.kms_key_arn
  token_secret_arn       = local.foundation.secret_arns["redis"]
  token_generation       = var.redis_generation
  replicas               = var.redis_replicas
  tags                   = local.tags
}

module "monitoring" {
  source = "../../modules/monitoring"

  name                    = local.name
  region                  = var.region
  topic_arn               = local.foundation.topic_arn
  alb_arn_suffix          = module.alb.arn_suffix
  target_group_arn_suffix = module.alb.target_group_arn_suffix
  certificate_arn         = var.certificate_arn
  tags                    = local.tags
}
