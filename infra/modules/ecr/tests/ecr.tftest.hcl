mock_provider "aws" {}

variables {
  name        = "ragwb-dev"
  tags        = { Project = "ragwb", Environment = "dev", CostCenter = "lab", ManagedBy = "terraform", Owner = "platform" }
  kms_key_arn = "arn:aws:kms:us-east-1:111122223333:key/k"
}

run "a_tag_is_written_once" {
  command = plan

  assert {
    condition     = alltrue([for repository in aws_ecr_repository.this : repository.image_tag_mutability == "IMMUTABLE" && !repository.force_delete])
    error_message = "an image can be replaced or lost"
  }
}

run "images_to_roll_back_to_stay" {
  command = plan

  variables {
    keep_images = 1
  }

  expect_failures = [var.keep_images]
}

run "a_missing_tag_is_refused" {
  command = plan

  variables {
    tags = { Project = "ragwb", Environment = "dev", CostCenter = "", ManagedBy = "terraform" }
  }

  expect_failures = [var.tags]
}
