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

variable "repositories" {
  description = "Names of the repositories."
  type        = set(string)
  default     = ["serve", "workbench"]
}

variable "kms_key_arn" {
  description = "Key that encrypts the images."
  type        = string
}

variable "keep_images" {
  description = "How many images a repository keeps."
  type        = number
  default     = 20

  validation {
    condition     = var.keep_images >= 5
    error_message = "keep_images must be 5 or more: the running image and those to roll back to are among them."
  }
}
