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
  description = "Region of the network."
  type        = string
}

variable "cidr" {
  description = "Addresses of the network, a /16 to /20."
  type        = string

  validation {
    condition     = can(cidrhost(var.cidr, 0)) && try(cidrhost(var.cidr, 0) == split("/", var.cidr)[0], false)
    error_message = "cidr must be a network such as 10.20.0.0/16, with no bit set behind the mask."
  }

  validation {
    condition     = try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 20, false)
    error_message = "cidr must be a /16 to /20: smaller ones have too few addresses for pods, larger ones AWS refuses."
  }

  # Two networks overlap if they are the same under the shorter of their masks.
  validation {
    condition = alltrue([
      for other in values(var.other_cidrs) : try(
        cidrhost("${split("/", var.cidr)[0]}/${min(split("/", var.cidr)[1], split("/", other)[1])}", 0) !=
      cidrhost("${split("/", other)[0]}/${min(split("/", var.cidr)[1], split("/", other)[1])}", 0), false)
    ])
    error_message = "cidr ${var.cidr} overlaps with one of ${jsonencode(var.other_cidrs)}: networks that overlap can never be connected. Take another."
  }
}

variable "other_cidrs" {
  description = "Networks, by name, that this one must be apart from: those of the other environments, of offices and of VPNs."
  type        = map(string)
  default     = {}
}

variable "zones" {
  description = "Letters of the availability zones."
  type        = list(string)
  default     = ["a", "b", "c"]

  validation {
    condition     = length(var.zones) >= 2 && length(var.zones) <= 6 && length(distinct(var.zones)) == length(var.zones) && alltrue([for zone in var.zones : can(regex("^[a-f]$", zone))])
    error_message = "zones must be two to six different letters, such as [\"a\", \"b\", \"c\"]: a load balancer and a cluster want two zones."
  }
}

variable "flow_logs" {
  description = "Bucket that takes the flow log of refused connections; null: none."
  type        = object({ bucket_arn = string })
  default     = null
}
