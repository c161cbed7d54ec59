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
  description = "Region of the metrics."
  type        = string
}

variable "topic_arn" {
  description = "Topic that alarms report to."
  type        = string
}

variable "alb_arn_suffix" {
  description = "The load balancer's name in CloudWatch."
  type        = string
}

variable "target_group_arn_suffix" {
  description = "The stable target group's name in CloudWatch."
  type        = string
}

variable "errors_in_5_minutes" {
  description = "More answers with status 5xx are an alarm."
  type        = number
  default     = 5
}

variable "p95_s" {
  description = "A slower 95th percentile is an alarm, seconds."
  type        = number
  default     = 20

  validation {
    condition     = var.p95_s > 0 && var.p95_s <= 120
    error_message = "p95_s must lie above 0 and at most at 120, the deadline of a question."
  }
}

variable "throttles_in_5_minutes" {
  description = "More throttled calls of Bedrock are an alarm."
  type        = number
  default     = 10
}

variable "certificate_arn" {
  description = "Certificate of the load balancer, whose end is watched. Empty: there is none."
  type        = string
  default     = ""
}
