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
  description = "Private subnets of at least two zones."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids: RDS wants subnets in two zones or more."
  }
}

variable "client_cidrs" {
  description = "Networks, by name, that may connect: the private subnets."
  type        = map(string)

  validation {
    condition     = alltrue([for cidr in values(var.client_cidrs) : can(cidrhost(cidr, 0)) && !endswith(cidr, "/0")])
    error_message = "client_cidrs must be networks such as 10.20.16.0/20, and not the whole internet."
  }
}

variable "kms_key_arn" {
  description = "Key that encrypts it."
  type        = string
}

variable "engine_version" {
  description = "Version of Aurora PostgreSQL: one that can sleep."
  type        = string
  default     = "17.5"
}

variable "max_units" {
  description = "Most capacity units."
  type        = number
  default     = 2

  validation {
    condition     = var.max_units >= 1 && var.max_units <= 16
    error_message = "max_units must lie between 1 and 16."
  }
}

variable "sleep_after_s" {
  description = "Seconds without a connection after which it sleeps."
  type        = number
  default     = 900

  validation {
    condition     = var.sleep_after_s >= 300 && var.sleep_after_s <= 86400
    error_message = "sleep_after_s must lie between 300 and 86400."
  }
}

variable "backup_days" {
  description = "Days that it can be restored to any second of."
  type        = number
  default     = 14

  validation {
    condition     = var.backup_days >= 7 && var.backup_days <= 35
    error_message = "backup_days must lie between 7 and 35."
  }
}
