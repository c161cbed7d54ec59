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

variable "topic_arn" {
  description = "Topic that is told."
  type        = string
}

variable "month_usd" {
  description = "Budget of a month, US dollars."
  type        = number

  validation {
    condition     = var.month_usd > 0
    error_message = "month_usd must be above 0: an environment without a budget is found by its bill."
  }
}

variable "thresholds_percent" {
  description = "Shares of the budget at which it speaks."
  type        = set(number)
  default     = [50, 80, 100]
}

variable "anomaly_usd" {
  description = "An anomaly that costs less is not reported, US dollars."
  type        = number
  default     = 10
}

variable "activate_cost_tags" {
  description = "Whether this account pays and may activate cost-allocation tags; true in one environment only."
  type        = bool
  default     = false
}
