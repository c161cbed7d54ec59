variable "project" {
  description = "Name of the project: the beginning of every name."
  type        = string
  default     = "ragwb"
}

variable "region" {
  description = "Region of all that is made."
  type        = string

  validation {
    condition     = contains(["us-east-1", "us-east-2", "us-west-2", "eu-central-1", "eu-west-1", "eu-north-1", "ap-northeast-1", "ap-southeast-2"], var.region)
    error_message = "region ${var.region} is none that has all that ragwb needs (Nova 2, Titan V2 and Guardrails in Bedrock); take us-east-1, us-east-2, us-west-2, eu-central-1, eu-west-1, eu-north-1, ap-northeast-1 or ap-southeast-2."
  }
}

variable "account_id" {
  description = "The account, twelve digits: `infra/cloud.py` takes it from the credentials."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be the twelve digits of an AWS account."
  }
}

variable "owner" {
  description = "Who is asked about it."
  type        = string
}

variable "cost_center" {
  description = "Who pays for it."
  type        = string
}

variable "environment" {
  description = "dev, staging or prod."
  type        = string

  validation {
    condition     = contains(["dev", "staging", "prod"], var.environment)
    error_message = "environment ${var.environment} is unknown; there are dev, staging and prod (infra/environments)."
  }
}

variable "foundation_state" {
  description = "Where foundation's state is: `infra/cloud.py` says it."
  type        = object({ backend = string, config = map(string) })

  validation {
    condition     = contains(["s3", "local"], var.foundation_state.backend)
    error_message = "foundation_state: the state is in S3, or in a file where this is tried without an account."
  }
}

variable "image_digest" {
  description = "The image that runs, by digest. Terraform starts no pod with it: it is recorded, so that a resume starts what was paused."
  type        = string

  validation {
    condition     = can(regex("^sha256:[0-9a-f]{64}$", var.image_digest))
    error_message = "image_digest is missing or no digest: a tag can change under a running service. Take sha256:… from `aws ecr describe-images`, or from the last deployment."
  }
}

variable "kubernetes_version" {
  description = "Minor version of Kubernetes."
  type        = string
  default     = "1.34"
}

variable "nat_per_zone" {
  description = "A NAT gateway in each zone, else one for all."
  type        = bool
  default     = false
}

variable "public_access_cidrs" {
  description = "Networks that reach the Kubernetes API from outside."
  type        = list(string)
  default     = []
}

variable "admin_arns" {
  description = "Roles that administer the cluster, by a short name."
  type        = map(string)
  default     = {}
}

variable "instance_types" {
  description = "Instance types of the nodes."
  type        = list(string)
  default     = ["m7g.large"]
}

variable "spot" {
  description = "Spot instances."
  type        = bool
  default     = false
}

variable "nodes" {
  description = "Fewest, first and most nodes."
  type        = object({ min = number, desired = number, max = number })
}

variable "schedule" {
  description = "Nodes by the clock."
  type        = map(object({ cron = string, min = number, desired = number, max = number, time_zone = optional(string, "Etc/UTC") }))
  default     = {}
}

variable "public" {
  description = "Whether the internet reaches the load balancer: for the app, whose WebSocket passes no API Gateway."
  type        = bool
  default     = false
}

variable "host" {
  description = "Name that users type, such as ragwb.example.com; needed with a certificate."
  type        = string
  default     = ""

  validation {
    condition     = var.certificate_arn == "" || can(regex("^[a-z0-9.-]+[.][a-z]{2,}$", var.host))
    error_message = "host is missing: the certificate is for a name, such as ragwb.example.com."
  }
}

variable "certificate_arn" {
  description = "Certificate of ACM for the host."
  type        = string
  default     = ""
}

variable "allowed_cidrs" {
  description = "Networks, by name, that may connect to the load balancer."
  type        = map(string)
  default     = {}
}

variable "managed_redis" {
  description = "Valkey of ElastiCache instead of a Redis in the cluster."
  type        = bool
  default     = false
}

variable "redis_replicas" {
  description = "Copies of it."
  type        = number
  default     = 0
}

variable "redis_generation" {
  description = "Generation of its password: as secret_generations of foundation."
  type        = number
  default     = 1
}
