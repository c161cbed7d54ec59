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

variable "api_id" {
  description = "The REST API."
  type        = string
}

variable "root_resource_id" {
  description = "Its root."
  type        = string
}

variable "key_ids" {
  description = "Keys by client."
  type        = map(string)
  default     = {}
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of the link."
  type        = list(string)
}

variable "alb_arn" {
  description = "The load balancer."
  type        = string
}

variable "alb_url" {
  description = "Its address."
  type        = string
}

variable "alb_port" {
  description = "Its port."
  type        = number
}

variable "alb_security_group_id" {
  description = "Its security group."
  type        = string
}

variable "log_group_arn" {
  description = "Log group of the access log."
  type        = string
}

variable "timeout_s" {
  description = "Seconds after which an answer that does not come is given up."
  type        = number
  default     = 120

  validation {
    condition     = var.timeout_s >= 1 && var.timeout_s <= 900
    error_message = "timeout_s must lie between 1 and 900: API Gateway ends a streamed answer after 15 minutes."
  }
}

variable "requests_per_second" {
  description = "Most requests in a second."
  type        = number
  default     = 20
}

variable "requests_per_day" {
  description = "Most requests of a client in a day."
  type        = number
  default     = 20000
}
