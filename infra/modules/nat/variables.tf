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

variable "public_subnets" {
  description = "Public subnets by zone."
  type        = map(string)

  validation {
    condition     = length(var.public_subnets) > 0
    error_message = "public_subnets is empty: a NAT gateway needs one."
  }
}

variable "private_route_tables" {
  description = "Route tables that lead out through it, by zone."
  type        = map(string)
}

variable "one_per_zone" {
  description = "A gateway in each zone (production: a lost zone takes no other with it), else one for all."
  type        = bool
  default     = false
}
