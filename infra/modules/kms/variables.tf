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

variable "account_id" {
  description = "The account that owns the key."
  type        = string
}

variable "region" {
  description = "Region of the log groups that the key encrypts."
  type        = string
}
