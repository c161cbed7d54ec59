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
  description = "Region that is called."
  type        = string
}

variable "account_id" {
  description = "The account that calls."
  type        = string
}

variable "kms_key_arn" {
  description = "Key that encrypts the guardrail."
  type        = string
}

variable "models" {
  description = "Chat models by role. `profile` is the geography of the inference profile (us, eu, jp, apac, global); empty: the model itself."
  type        = map(object({ model = string, profile = string }))

  validation {
    condition     = alltrue([for model in values(var.models) : contains(["", "us", "eu", "jp", "apac", "global"], model.profile)])
    error_message = "models: profile must be us, eu, jp, apac, global or empty."
  }

  validation {
    condition     = alltrue([for model in values(var.models) : !(startswith(model.model, "amazon.nova-2") && model.profile == "")])
    error_message = "models: Nova 2 is refused on demand by its bare id; name the profile's geography."
  }
}

variable "content_strength" {
  description = "How strictly content is filtered: NONE, LOW, MEDIUM or HIGH."
  type        = string
  default     = "MEDIUM"

  validation {
    condition     = contains(["NONE", "LOW", "MEDIUM", "HIGH"], var.content_strength)
    error_message = "content_strength must be NONE, LOW, MEDIUM or HIGH."
  }
}

variable "grounding_threshold" {
  description = "Answers whose grounding in their passages scores below are withheld."
  type        = number
  default     = 0.7

  validation {
    condition     = var.grounding_threshold >= 0 && var.grounding_threshold <= 0.99
    error_message = "grounding_threshold must lie between 0 and 0.99."
  }
}

variable "blocked_entities" {
  description = "Personal data that stops a question or an answer."
  type        = set(string)
  default     = ["AWS_ACCESS_KEY", "AWS_SECRET_KEY", "CREDIT_DEBIT_CARD_NUMBER", "PASSWORD", "US_SOCIAL_SECURITY_NUMBER"]
}

variable "masked_entities" {
  description = "Personal data that is replaced by its kind."
  type        = set(string)
  default     = ["EMAIL", "PHONE"]
}

variable "guardrail_generation" {
  description = "Raise it to publish the draft as a new version."
  type        = number
  default     = 1
}
