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

variable "bucket" {
  description = "The bucket's name, unique in the world."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket must be 3 to 63 lower-case letters, digits and hyphens: dots break TLS."
  }
}

variable "kms_key_arn" {
  description = "Key that encrypts the objects; empty: S3's own (a bucket that takes access logs knows no other)."
  type        = string
  default     = ""
}

variable "archive" {
  description = "Prefixes whose objects move to Standard-IA and then to Glacier Instant Retrieval. Never the index."
  type        = map(object({ infrequent_days = number, glacier_days = number }))
  default     = {}

  validation {
    condition     = alltrue([for prefix in keys(var.archive) : can(regex("^[a-z0-9][a-z0-9/-]*/$", prefix)) && !strcontains(prefix, "lancedb") && !startswith(prefix, "index")])
    error_message = "archive: each prefix must be named and end with /, and none may be index/ or hold lancedb: its files are read for ever."
  }

  validation {
    condition     = alltrue([for days in values(var.archive) : days.infrequent_days >= 30 && days.glacier_days >= days.infrequent_days + 30])
    error_message = "archive: S3 wants 30 days before Standard-IA, and 30 more before Glacier."
  }
}

variable "expire" {
  description = "Prefixes whose objects are deleted after so many days. Never the index, never documents."
  type        = map(number)
  default     = {}

  validation {
    condition     = alltrue([for prefix in keys(var.expire) : can(regex("^[a-z0-9][a-z0-9/-]*/$", prefix)) && !strcontains(prefix, "lancedb") && !startswith(prefix, "index") && !startswith(prefix, "documents")])
    error_message = "expire: each prefix must be named and end with /, and none may be index/, lancedb/ or documents/: what is there is deleted by the workbench alone."
  }
}

variable "keep_former_versions_days" {
  description = "How long overwritten and deleted objects can be restored; after that a deletion is final."
  type        = number
  default     = 30

  validation {
    condition     = var.keep_former_versions_days >= 1 && var.keep_former_versions_days <= 365
    error_message = "keep_former_versions_days must lie between 1 and 365."
  }
}

variable "access_logs" {
  description = "Bucket that takes the access logs; null: none."
  type        = object({ bucket = string })
  default     = null
}

variable "log_writers" {
  description = "Statements that let services of AWS write logs into this bucket."
  type        = any # a tuple: statements differ in shape
  default     = []
}
