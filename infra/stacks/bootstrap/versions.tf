terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.20, < 7.0"
    }
  }

  # Made on a desk first; `infra/cloud.py bootstrap` then moves its state into the bucket that it made.
  backend "s3" {}
}

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id] # another account's credentials are refused before anything is read

  default_tags {
    tags = local.tags
  }
}

locals {
  name = var.project
  tags = {
    Project     = var.project
    Environment = "shared"
    CostCenter  = var.cost_center
    ManagedBy   = "terraform"
    Owner       = var.owner
    Stack       = "bootstrap"
  }
}
