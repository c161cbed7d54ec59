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

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets."
  type        = list(string)
}

variable "node_security_group_id" {
  description = "Security group of the pods."
  type        = string
}

variable "kms_key_arn" {
  description = "Key that encrypts it."
  type        = string
}

variable "token_secret_arn" {
  description = "Secret that holds the password; read past Terraform's state."
  type        = string
}

variable "token_generation" {
  description = "Generation of that secret: raise both to rotate."
  type        = number
  default     = 1
}

variable "engine_version" {
  description = "Version of Valkey."
  type        = string
  default     = "8.0"
}

variable "node_type" {
  description = "Size of a node."
  type        = string
  default     = "cache.t4g.small"

  validation {
    condition     = startswith(var.node_type, "cache.")
    error_message = "node_type must be one of ElastiCache, such as cache.t4g.small."
  }
}

variable "replicas" {
  description = "Copies beside the first node; 0: none, and no failover."
  type        = number
  default     = 0

  validation {
    condition     = var.replicas >= 0 && var.replicas <= 5
    error_message = "replicas must lie between 0 and 5."
  }
}
