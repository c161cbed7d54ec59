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

variable "kms_key_arn" {
  description = "Key that encrypts the secrets."
  type        = string
}

variable "secrets" {
  description = "Secrets by name. Raise `generation` to rotate one."
  type        = map(object({ description = string, length = optional(number, 48), generation = optional(number, 1) }))

  validation {
    condition     = alltrue([for secret in values(var.secrets) : secret.length >= 32 && secret.generation >= 1])
    error_message = "secrets: a length of 32 or more and a generation of 1 or more are needed."
  }
}
