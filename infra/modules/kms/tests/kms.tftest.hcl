mock_provider "aws" {}

variables {
  name       = "ragwb-dev"
  tags       = { Project = "ragwb", Environment = "dev", CostCenter = "lab", ManagedBy = "terraform", Owner = "platform" }
  account_id = "111122223333"
  region     = "us-east-1"
}

run "the_key_rotates" {
  command = plan

  assert {
    condition     = aws_kms_key.this.enable_key_rotation
    error_message = "the key does not rotate"
  }
}

run "a_wrong_name_is_refused" {
  command = plan

  variables {
    name = "Ragwb_Dev"
  }

  expect_failures = [var.name]
}

run "a_missing_tag_is_refused" {
  command = plan

  variables {
    tags = { Project = "ragwb", Environment = "dev", CostCenter = "", ManagedBy = "terraform" }
  }

  expect_failures = [var.tags]
}
