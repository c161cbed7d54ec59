variable "project" {
  description = "Name of the project: the beginning of every name."
  type        = string
  default     = "ragwb"
}

variable "region" {
  description = "Region of all that is made."
  type        = string

  validation {
    condition     = contains(["us-east-1", "us-east-2", "us-west-2", "eu-central-1", "eu-west-1", "eu-north-1", "ap-northeast-1", "ap-southeast-2"], var.region)
    error_message = "region ${var.region} is none that has all that ragwb needs (Nova 2, Titan V2 and Guardrails in Bedrock); take us-east-1, us-east-2, us-west-2, eu-central-1, eu-west-1, eu-north-1, ap-northeast-1 or ap-southeast-2."
  }
}

variable "account_id" {
  description = "The account, twelve digits: `infra/cloud.py` takes it from the credentials."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be the twelve digits of an AWS account."
  }
}

variable "owner" {
  description = "Who is asked about it."
  type        = string
}

variable "cost_center" {
  description = "Who pays for it."
  type        = string
}

variable "lock_table" {
  description = "A DynamoDB table for locks as well: deprecated, for Terraform before 1.10 only (ADR 34)."
  type        = bool
  default     = false
}
