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
  description = "Region that the environment is in."
  type        = string
}

variable "account_id" {
  description = "The account."
  type        = string
}

variable "bucket" {
  description = "Name of the bucket with documents, index, answers and reports."
  type        = string
}

variable "kms_key_arn" {
  description = "Key of the bucket and the secrets."
  type        = string
}

variable "guardrail_arn" {
  description = "Guardrail without which no chat model may be called."
  type        = string
}

variable "chat_models" {
  description = "Ids of the chat models, without a geography."
  type        = set(string)

  validation {
    condition     = alltrue([for model in var.chat_models : can(regex("^[a-z0-9-]+[.][a-z0-9.:-]+$", model)) && !can(regex("^(us|eu|jp|apac|global)[.]", model))])
    error_message = "chat_models: ids such as amazon.nova-2-lite-v1:0 are needed, without a geography before them and without a wildcard."
  }
}

variable "embedding_models" {
  description = "Ids of the embedding models."
  type        = set(string)
  default     = ["amazon.titan-embed-text-v2:0"]
}

variable "secret_arns" {
  description = "Secrets that the cluster may read."
  type        = list(string)
}

variable "shared_mlflow" {
  description = "Whether a shared MLflow runs in the cluster and keeps its files in the bucket, below mlflow/."
  type        = bool
  default     = false
}

variable "api_may_ingest" {
  description = "Whether the API's pods may write documents and index, so that uploads in the app work. Off: only the ingestion job writes."
  type        = bool
  default     = false
}
