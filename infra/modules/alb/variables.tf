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

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets of at least two zones: private ones if `internal`."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids: a load balancer wants subnets in two zones or more."
  }
}

variable "node_security_group_id" {
  description = "Security group of the pods."
  type        = string
}

variable "port" {
  description = "Port of the service."
  type        = number
  default     = 8321
}

variable "internal" {
  description = "Reached from inside the VPC only: by API Gateway's VPC link, a VPN, a peered network."
  type        = bool
  default     = true
}

variable "allowed_cidrs" {
  description = "Networks, by name, that may connect."
  type        = map(string)

  validation {
    condition     = alltrue([for cidr in values(var.allowed_cidrs) : can(cidrhost(cidr, 0))])
    error_message = "allowed_cidrs must be networks such as 203.0.113.0/24."
  }
}

variable "certificate_arn" {
  description = "Certificate of ACM. Empty: HTTP, for an internal load balancer only."
  type        = string
  default     = ""

  validation {
    condition     = var.internal || startswith(var.certificate_arn, "arn:aws:acm:")
    error_message = "certificate_arn: a load balancer that the internet reaches needs a certificate of ACM."
  }
}

variable "logs_bucket" {
  description = "Bucket of the access logs; empty: none."
  type        = string
  default     = ""
}

variable "requests_in_five_minutes" {
  description = "Requests of one address in five minutes, above which a public load balancer blocks it."
  type        = number
  default     = 2000

  validation {
    condition     = var.requests_in_five_minutes >= 10 && var.requests_in_five_minutes <= 2000000000
    error_message = "requests_in_five_minutes must be between 10 and 2,000,000,000, as AWS WAF allows."
  }
}
