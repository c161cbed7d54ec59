mock_provider "aws" {}

variables {
  name        = "ragwb-dev"
  tags        = { Project = "ragwb", Environment = "dev", CostCenter = "lab", ManagedBy = "terraform", Owner = "platform" }
  bucket      = "ragwb-dev-data"
  kms_key_arn = "arn:aws:kms:us-east-1:111122223333:key/k"
  archive     = { "documents/" = { infrequent_days = 30, glacier_days = 90 } }
}

run "private_versioned_encrypted" {
  command = plan

  assert {
    condition     = aws_s3_bucket_public_access_block.this.block_public_policy && aws_s3_bucket_public_access_block.this.restrict_public_buckets
    error_message = "a bucket can become public"
  }

  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "an overwritten object would be lost"
  }

  assert {
    condition     = !aws_s3_bucket.this.force_destroy
    error_message = "a bucket with objects could be destroyed"
  }
}

run "the_index_is_never_archived" {
  command = plan

  variables {
    archive = { "index/lancedb/" = { infrequent_days = 30, glacier_days = 90 } }
  }

  expect_failures = [var.archive]
}

run "nor_is_all_of_the_bucket" {
  command = plan

  variables {
    archive = { "" = { infrequent_days = 30, glacier_days = 90 } }
  }

  expect_failures = [var.archive]
}

run "the_index_never_expires" {
  command = plan

  variables {
    expire = { "lancedb/" = 30 }
  }

  expect_failures = [var.expire]
}

run "documents_never_expire" {
  command = plan

  variables {
    expire = { "documents/" = 30 }
  }

  expect_failures = [var.expire]
}

run "s3_wants_thirty_days" {
  command = plan

  variables {
    archive = { "documents/" = { infrequent_days = 10, glacier_days = 90 } }
  }

  expect_failures = [var.archive]
}

run "a_missing_tag_is_refused" {
  command = plan

  variables {
    tags = { Project = "ragwb", Environment = "dev", CostCenter = "", ManagedBy = "terraform" }
  }

  expect_failures = [var.tags]
}
