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

variable "clients" {
  description = "Names of those who call the API; each gets a key."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for client in var.clients : can(regex("^[a-z][a-z0-9-]*$", client))])
    error_message = "clients must be lower-case names such as reporting."
  }
}
