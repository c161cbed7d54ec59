# What lasts. Everything here costs nothing, or next to nothing, while nobody asks: a pause never touches it, and a resume finds all of it again.
module "kms" {
  source = "../../modules/kms"

  name       = local.name
  account_id = var.account_id
  region     = var.region
  tags       = local.tags
}

module "logs_bucket" {
  source = "../../modules/s3"

  name   = local.name
  bucket = "${local.name}-logs-${var.account_id}-${var.region}" # S3's own encryption: access logs know no other
  expire = { "alb/" = var.log_retention_days, "s3/" = var.log_retention_days, "vpc/" = var.log_retention_days }
  tags   = local.tags

  log_writers = [
    {
      Sid       = "LoadBalancerAndFlowLogs"
      Effect    = "Allow"
      Principal = { Service = ["logdelivery.elasticloadbalancing.amazonaws.com", "delivery.logs.amazonaws.com", "logging.s3.amazonaws.com"] }
      Action    = "s3:PutObject"
      Resource  = "arn:aws:s3:::${local.name}-logs-${var.account_id}-${var.region}/*"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    },
    {
      Sid       = "FlowLogsLook"
      Effect    = "Allow"
      Principal = { Service = "delivery.logs.amazonaws.com" }
      Action    = ["s3:GetBucketAcl", "s3:ListBucket"]
      Resource  = "arn:aws:s3:::${local.name}-logs-${var.account_id}-${var.region}"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    },
  ]
}

# documents/ as they came, index/ what the workbench keeps (index/lancedb/ and more), reports/, ledger/, versions/ (DVC), mlflow/ (files of a shared MLflow).
module "data" {
  source = "../../modules/s3"

  name                      = local.name
  bucket                    = "${local.name}-data-${var.account_id}-${var.region}"
  kms_key_arn               = module.kms.arn
  access_logs               = { bucket = module.logs_bucket.bucket }
  keep_former_versions_days = var.keep_former_versions_days
  tags                      = local.tags

  archive = {
    "documents/" = { infrequent_days = 30, glacier_days = 90 }
    "reports/"   = { infrequent_days = 30, glacier_days = 90 }
  }
}

module "ecr" {
  source = "../../modules/ecr"

  name        = local.name
  kms_key_arn = module.kms.arn
  tags        = local.tags
}

module "secrets" {
  source = "../../modules/secrets"

  name        = local.name
  kms_key_arn = module.kms.arn
  tags        = local.tags

  secrets = {
    redis   = { description = "Password of Redis", generation = try(var.secret_generations["redis"], 1) }
    grafana = { description = "Grafana's administrator", generation = try(var.secret_generations["grafana"], 1) }
  }
}

module "vpc" {
  source = "../../modules/vpc"

  name        = local.name
  region      = var.region
  cidr        = var.vpc_cidr
  other_cidrs = var.other_cidrs
  zones       = var.zones
  flow_logs   = { bucket_arn = module.logs_bucket.arn }
  tags        = local.tags
}

module "bedrock" {
  source = "../../modules/bedrock"

  name                 = local.name
  region               = var.region
  account_id           = var.account_id
  kms_key_arn          = module.kms.arn
  models               = var.models
  guardrail_generation = var.guardrail_generation
  tags                 = local.tags
}

module "iam" {
  source = "../../modules/iam"

  name           = local.name
  region         = var.region
  account_id     = var.account_id
  bucket         = module.data.bucket
  kms_key_arn    = module.kms.arn
  guardrail_arn  = module.bedrock.guardrail_arn
  chat_models    = toset([for model in values(var.models) : model.model])
  secret_arns    = concat(values(module.secrets.arns), module.rds[*].secret_arn)
  api_may_ingest = var.api_may_ingest
  shared_mlflow  = var.shared_mlflow
  tags           = local.tags
}

module "api" {
  source = "../../modules/api"

  name    = local.name
  clients = var.api_clients
  tags    = local.tags
}

module "notifications" {
  source = "../../modules/notifications"

  name               = local.name
  account_id         = var.account_id
  kms_key_arn        = module.kms.arn
  emails             = var.alert_emails
  log_retention_days = var.log_retention_days
  tags               = local.tags

  log_groups = {
    cluster = "/aws/eks/${local.name}/cluster"
    api     = "/aws/apigateway/${local.name}"
  }
}

module "cost" {
  source = "../../modules/cost"

  name               = local.name
  topic_arn          = module.notifications.topic_arn
  month_usd          = var.month_usd
  activate_cost_tags = var.activate_cost_tags
  tags               = local.tags
}

module "github" {
  source = "../../modules/github"
  count  = var.github_subject_prefix == "" ? 0 : 1

  name            = local.name
  region          = var.region
  account_id      = var.account_id
  environment     = var.environment
  subject_prefix  = var.github_subject_prefix
  provider_arn    = var.github_provider_arn
  state_bucket    = "${var.project}-state-${var.account_id}-${var.region}"
  state_key_arn   = var.state_key_arn
  data_bucket     = module.data.bucket
  kms_key_arn     = module.kms.arn
  chat_models     = toset([for model in values(var.models) : model.model])
  repository_arns = values(module.ecr.arns)
  tags            = local.tags
}

module "rds" {
  source = "../../modules/rds"
  count  = var.shared_mlflow ? 1 : 0

  name         = local.name
  vpc_id       = module.vpc.id
  subnet_ids   = values(module.vpc.private_subnets)
  client_cidrs = { vpc = module.vpc.cidr }
  kms_key_arn  = module.kms.arn
  tags         = local.tags
}
