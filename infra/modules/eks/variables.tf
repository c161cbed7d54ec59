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

variable "kubernetes_version" {
  description = "Minor version of Kubernetes."
  type        = string

  validation {
    condition     = can(regex("^1[.][0-9]{2}$", var.kubernetes_version))
    error_message = "kubernetes_version must be a minor version such as 1.34."
  }
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of at least two zones."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids: EKS wants subnets in two zones or more."
  }
}

variable "cluster_role_arn" {
  description = "Role of the control plane."
  type        = string
}

variable "node_role_arn" {
  description = "Role of the nodes."
  type        = string
}

variable "kms_key_arn" {
  description = "Key that encrypts Kubernetes' own secrets."
  type        = string
}

variable "public_access_cidrs" {
  description = "Networks that reach the Kubernetes API from outside; empty: from inside the VPC only."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.public_access_cidrs : can(cidrhost(cidr, 0)) && !endswith(cidr, "/0")])
    error_message = "public_access_cidrs must be networks such as 203.0.113.0/24, and not the whole internet."
  }
}

variable "admin_arns" {
  description = "Roles, by a short name, that administer the cluster."
  type        = map(string)
  default     = {}
}

variable "editor_arns" {
  description = "Roles, by a short name, that start jobs in one namespace."
  type        = map(string)
  default     = {}
}

variable "editable_namespace" {
  description = "That namespace."
  type        = string
  default     = "ragwb"
}

variable "instance_types" {
  description = "Instance types of the nodes."
  type        = list(string)
  default     = ["m7g.large"]
}

variable "ami_type" {
  description = "Operating system and architecture of the nodes."
  type        = string
  default     = "BOTTLEROCKET_ARM_64"
}

variable "spot" {
  description = "Spot instances: about a third of the price, taken away at two minutes' notice."
  type        = bool
  default     = false
}

variable "disk_gb" {
  description = "Disk of a node in gigabytes."
  type        = number
  default     = 40
}

variable "nodes" {
  description = "Fewest, first and most nodes."
  type        = object({ min = number, desired = number, max = number })

  validation {
    condition     = var.nodes.min >= 0 && var.nodes.min <= var.nodes.desired && var.nodes.desired <= var.nodes.max && var.nodes.max >= 1
    error_message = "nodes: 0 <= min <= desired <= max, and max >= 1."
  }
}

variable "pods" {
  description = "Pod Identity: namespace, service account and role of each."
  type        = map(object({ namespace = string, service_account = string, role_arn = string }))
}

variable "schedule" {
  description = "Sizes by the clock, such as { night = { cron = \"0 20 * * 1-5\", min = 0, desired = 0, max = 3 } }."
  type        = map(object({ cron = string, min = number, desired = number, max = number, time_zone = optional(string, "Etc/UTC") }))
  default     = {}

  validation {
    condition     = alltrue([for size in values(var.schedule) : length(split(" ", size.cron)) == 5 && size.min <= size.desired && size.desired <= size.max])
    error_message = "schedule: a cron of five fields and min <= desired <= max are needed."
  }
}
