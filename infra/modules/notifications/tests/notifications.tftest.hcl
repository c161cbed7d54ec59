mock_provider "aws" {
  mock_resource "aws_sns_topic" {
    defaults = {
      arn = "arn:aws:sns:us-east-1:111122223333:alerts"
    }
  }
}

variables {
  name        = "ragwb-dev"
  tags        = { Project = "ragwb", Environment = "dev", CostCenter = "lab", ManagedBy = "terraform", Owner = "platform" }
  account_id  = "111122223333"
  kms_key_arn = "arn:aws:kms:us-east-1:111122223333:key/k"
  log_groups  = { cluster = "/aws/eks/ragwb-dev/cluster" }
}

run "logs_are_kept_and_encrypted" {
  command = apply

  assert {
    condition     = aws_cloudwatch_log_group.this["cluster"].retention_in_days == 365 && aws_cloudwatch_log_group.this["cluster"].kms_key_id != ""
    error_message = "logs are kept for ever, or in the clear"
  }
}

run "an_address_is_wanted" {
  command = plan

  variables {
    emails = ["nobody"]
  }

  expect_failures = [var.emails]
}

run "cloudwatch_knows_some_days" {
  command = plan

  variables {
    log_retention_days = 45
  }

  expect_failures = [var.log_retention_days]
}

run "a_missing_tag_is_refused" {
  command = plan

  variables {
    tags = { Project = "ragwb", Environment = "dev", CostCenter = "", ManagedBy = "terraform" }
  }

  expect_failures = [var.tags]
}
