variable "name" {
  description = "Prefix of every name, such as ragwb-dev."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,24}$", var.name))
    error_message = "name must be 3 to 25 lower-case letters, digits and hyphens, such as ragwb-dev."
  }
}

variable "tags" {
  description = "The five tags of every resource: Project, Environment, CostCenter, ManagedBy, Owner."
  type        = map(string)

  validation {
    condition     = alltrue([for tag in ["Project", "Environment", "CostCenter", "ManagedBy", "Owner"] : try(length(var.tags[tag]) > 0, false)])
    error_message = "tags must hold Project, Environment, CostCenter, ManagedBy and Owner, none of them empty."
  }
}

variable "region" {
  description = "Region of the environment."
  type        = string
}

variable "account_id" {
  description = "The account."
  type        = string
}

variable "environment" {
  description = "Name of the environment, in AWS as in GitHub."
  type        = string
}

variable "subject_prefix" {
  description = "How GitHub names the repository in its tokens: repo:ORG@ID/REPO@ID for repositories made after 2026-07-15, repo:ORG/REPO for older ones."
  type        = string

  validation {
    condition     = can(regex("^repo:[^/*: ]+/[^/*: ]+$", var.subject_prefix))
    error_message = "subject_prefix must be repo:ORG/REPO or repo:ORG@ID/REPO@ID, without a wildcard: any other repository could sign in."
  }
}

variable "provider_arn" {
  description = "GitHub's identity provider where the account has one already; an account can have one only. Empty: it is made here."
  type        = string
  default     = ""
}

variable "state_bucket" {
  description = "Bucket of the states."
  type        = string
}

variable "state_key_arn" {
  description = "Key of the states."
  type        = string
}

variable "data_bucket" {
  description = "Bucket of documents and index."
  type        = string
}

variable "kms_key_arn" {
  description = "Key of the environment's data."
  type        = string
}

variable "chat_models" {
  description = "Chat models that experiments may call."
  type        = set(string)
  default     = []
}

variable "repository_arns" {
  description = "Image repositories."
  type        = list(string)
}
