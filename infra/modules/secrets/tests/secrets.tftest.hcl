# Terraform cannot mock ephemeral resources: here the provider in memory answers (tests/tools/memory_provider.py), and only plans are made.

variables {
  name        = "ragwb-dev"
  tags        = { Project = "ragwb", Environment = "dev", CostCenter = "lab", ManagedBy = "terraform", Owner = "platform" }
  kms_key_arn = "arn:aws:kms:us-east-1:111122223333:key/k"
  secrets     = { redis = { description = "Password of Redis" } }
}

run "no_value_is_in_the_state" {
  command = plan

  assert {
    condition     = aws_secretsmanager_secret_version.this["redis"].secret_string == null || aws_secretsmanager_secret_version.this["redis"].secret_string_wo_version == 1
    error_message = "a value would be kept in the state"
  }

  assert {
    condition     = aws_secretsmanager_secret.this["redis"].recovery_window_in_days == 30
    error_message = "a deleted secret could not be brought back"
  }
}

run "a_short_password_is_refused" {
  command = plan

  variables {
    secrets = { redis = { description = "short", length = 8 } }
  }

  expect_failures = [var.secrets]
}

run "a_missing_tag_is_refused" {
  command = plan

  variables {
    tags = { Project = "ragwb", Environment = "dev", CostCenter = "", ManagedBy = "terraform" }
  }

  expect_failures = [var.tags]
}
