# The guardrail that stands between users and models, and inference profiles of our own: they carry the tags by which Bedrock's bill is divided.
resource "aws_bedrock_guardrail" "this" {
  name                      = var.name
  description               = "What may come in and what may go out of ${var.name}"
  blocked_input_messaging   = "This question cannot be answered here."
  blocked_outputs_messaging = "The answer was withheld by a guardrail."
  kms_key_arn               = var.kms_key_arn
  tags                      = var.tags

  content_policy_config {
    dynamic "filters_config" {
      for_each = toset(["HATE", "INSULTS", "MISCONDUCT", "SEXUAL", "VIOLENCE"])

      content {
        type            = filters_config.value
        input_strength  = var.content_strength
        output_strength = var.content_strength
      }
    }

    # Attacks are found in what comes in; Bedrock refuses an output strength for them.
    filters_config {
      type            = "PROMPT_ATTACK"
      input_strength  = "HIGH"
      output_strength = "NONE"
    }
  }

  contextual_grounding_policy_config {
    filters_config {
      type      = "GROUNDING"
      threshold = var.grounding_threshold
    }
  }

  sensitive_information_policy_config {
    dynamic "pii_entities_config" {
      for_each = var.blocked_entities

      content {
        type   = pii_entities_config.value
        action = "BLOCK"
      }
    }

    dynamic "pii_entities_config" {
      for_each = var.masked_entities

      content {
        type   = pii_entities_config.value
        action = "ANONYMIZE"
      }
    }
  }
}

# Answers are made under a numbered version: a change of the draft reaches nobody until a new version is made.
resource "aws_bedrock_guardrail_version" "this" {
  guardrail_arn = aws_bedrock_guardrail.this.guardrail_arn
  description   = "Version ${var.guardrail_generation}"
  skip_destroy  = true
}

resource "aws_bedrock_inference_profile" "this" {
  for_each = var.models

  name        = "${var.name}-${each.key}"
  description = "${each.key} of ${var.name}: usage by tag"
  tags        = merge(var.tags, { Role = each.key })

  model_source {
    copy_from = each.value.profile == "" ? "arn:aws:bedrock:${var.region}::foundation-model/${each.value.model}" : "arn:aws:bedrock:${var.region}:${var.account_id}:inference-profile/${each.value.profile}.${each.value.model}"
  }
}
