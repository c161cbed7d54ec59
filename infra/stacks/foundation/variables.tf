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

variable "vpc_cidr" {
  description = "Addresses of the network."
  type        = string
}

variable "other_cidrs" {
  description = "Networks that it must be apart from, by name."
  type        = map(string)
  default     = {}
}

variable "zones" {
  description = "Letters of the availability zones."
  type        = list(string)
  default     = ["a", "b", "c"]
}

variable "models" {
  description = "Chat models by role, and the geography of each one's inference profile."
  type        = map(object({ model = string, profile = string }))
}

variable "guardrail_generation" {
  description = "Raise it to publish the guardrail's draft."
  type        = number
  default     = 1
}

variable "api_may_ingest" {
  description = "Whether uploads in the app work: the API's pods then write documents and index."
  type        = bool
  default     = false
}

variable "api_clients" {
  description = "Who gets a key of API Gateway."
  type        = set(string)
  default     = []
}

variable "secret_generations" {
  description = "Raise a secret's number to rotate it, such as { redis = 2 }."
  type        = map(number)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.secret_generations) : contains(["redis", "grafana"], name)])
    error_message = "secret_generations names a secret that is not there; there are redis and grafana."
  }
}

variable "keep_former_versions_days" {
  description = "How long overwritten and deleted objects can be restored."
  type        = number
  default     = 30
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 365
}

variable "alert_emails" {
  description = "Who is told of alarms and budgets."
  type        = set(string)
  default     = []
}

variable "month_usd" {
  description = "Budget of a month, US dollars."
  type        = number
}

variable "activate_cost_tags" {
  description = "Whether this account pays and may activate cost-allocation tags."
  type        = bool
  default     = false
}

variable "github_subject_prefix" {
  description = "How GitHub names the repository in its tokens; empty: no roles for GitHub."
  type        = string
  default     = ""
}

variable "github_provider_arn" {
  description = "GitHub's identity provider where the account has one already."
  type        = string
  default     = ""
}

variable "state_key_arn" {
  description = "Key of the states, an output of bootstrap; needed with github_subject_prefix."
  type        = string
  default     = ""

  validation {
    condition     = var.github_subject_prefix == "" || startswith(var.state_key_arn, "arn:aws:kms:")
    error_message = "state_key_arn is missing: GitHub's roles read the states, so name bootstrap's output of that name."
  }
}

variable "shared_mlflow" {
  description = "A PostgreSQL for an MLflow that several people share; it sleeps by itself."
  type        = bool
  default     = false
}
