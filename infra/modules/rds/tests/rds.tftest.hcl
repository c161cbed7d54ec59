mock_provider "aws" {}

variables {
  name         = "ragwb-dev"
  tags         = { Project = "ragwb", Environment = "dev", CostCenter = "lab", ManagedBy = "terraform", Owner = "platform" }
  vpc_id       = "vpc"
  subnet_ids   = ["a", "b"]
  client_cidrs = { vpc = "10.20.0.0/16" }
  kms_key_arn  = "arn:aws:kms:us-east-1:111122223333:key/k"
}

run "it_sleeps_and_lasts" {
  command = plan

  assert {
    condition     = aws_rds_cluster.this.serverlessv2_scaling_configuration[0].min_capacity == 0
    error_message = "it never sleeps"
  }

  assert {
    condition     = aws_rds_cluster.this.deletion_protection && aws_rds_cluster.this.master_password == null
    error_message = "it can be deleted, or its password is in the state"
  }
}

run "the_whole_internet_is_refused" {
  command = plan

  variables {
    client_cidrs = { all = "0.0.0.0/0" }
  }

  expect_failures = [var.client_cidrs]
}

run "a_week_of_backups" {
  command = plan

  variables {
    backup_days = 1
  }

  expect_failures = [var.backup_days]
}

run "a_missing_tag_is_refused" {
  command = plan

  variables {
    tags = { Project = "ragwb", Environment = "dev", CostCenter = "", ManagedBy = "terraform" }
  }

  expect_failures = [var.tags]
}
