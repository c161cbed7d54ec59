# Terraform cannot mock ephemeral resources: here the provider in memory answers (tests/tools/memory_provider.py), and only plans are made.

variables {
  name                   = "ragwb-dev"
  tags                   = { Project = "ragwb", Environment = "dev", CostCenter = "lab", ManagedBy = "terraform", Owner = "platform" }
  vpc_id                 = "vpc"
  subnet_ids             = ["a", "b"]
  node_security_group_id = "sg"
  kms_key_arn            = "arn:aws:kms:us-east-1:111122223333:key/k"
  token_secret_arn       = "arn:aws:secretsmanager:us-east-1:111122223333:secret:redis"
}

run "it_is_encrypted" {
  command = plan

  assert {
    condition     = aws_elasticache_replication_group.this.transit_encryption_enabled && aws_elasticache_replication_group.this.at_rest_encryption_enabled == "true"
    error_message = "it is not encrypted"
  }

  assert {
    condition     = aws_elasticache_replication_group.this.auth_token == null
    error_message = "a password is in the state"
  }
}

run "an_instance_is_no_node" {
  command = plan

  variables {
    node_type = "t4g.small"
  }

  expect_failures = [var.node_type]
}

run "five_copies_at_most" {
  command = plan

  variables {
    replicas = 9
  }

  expect_failures = [var.replicas]
}

run "a_missing_tag_is_refused" {
  command = plan

  variables {
    tags = { Project = "ragwb", Environment = "dev", CostCenter = "", ManagedBy = "terraform" }
  }

  expect_failures = [var.tags]
}
