# Once for an account: where Terraform keeps its states, and what belongs to the account and not to an environment.
resource "aws_kms_key" "state" {
  description             = "${local.name}: Terraform's states"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  tags                    = local.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AccountAdministers"
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::${var.account_id}:root" }
      Action    = "kms:*" # why: without the account as administrator a key can be locked out of for ever
      Resource  = "*"     # why: in a key's own policy this is the key
    }]
  })

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_alias" "state" {
  name          = "alias/${local.name}-state"
  target_key_id = aws_kms_key.state.key_id
}

module "state" {
  source = "../../modules/s3"

  name                      = local.name
  bucket                    = "${local.name}-state-${var.account_id}-${var.region}"
  kms_key_arn               = aws_kms_key.state.arn
  keep_former_versions_days = 365
  tags                      = local.tags
}

# S3 locks by itself (use_lockfile). The table is for those whose Terraform is older than 1.10.
resource "aws_dynamodb_table" "lock" {
  count = var.lock_table ? 1 : 0

  name                        = "${local.name}-state-lock"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "LockID"
  deletion_protection_enabled = true
  tags                        = local.tags

  attribute {
    name = "LockID"
    type = "S"
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = aws_kms_key.state.arn
  }
}

# API Gateway writes its logs under one role for the whole account and region.
resource "aws_iam_role" "api_gateway" {
  name        = "${local.name}-api-gateway-logs-${var.region}"
  description = "API Gateway writes logs"
  tags        = local.tags
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "apigateway.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role_policy_attachment" "api_gateway" {
  role       = aws_iam_role.api_gateway.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
}

resource "aws_api_gateway_account" "this" {
  cloudwatch_role_arn = aws_iam_role.api_gateway.arn

  depends_on = [aws_iam_role_policy_attachment.api_gateway]
}

# A public bucket or an unencrypted disk needs two mistakes in this account.
resource "aws_s3_account_public_access_block" "this" {
  account_id              = var.account_id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_ebs_encryption_by_default" "this" {
  enabled = true
}
