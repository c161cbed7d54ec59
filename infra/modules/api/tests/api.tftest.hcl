mock_provider "aws" {}

variables {
  name    = "ragwb-dev"
  tags    = { Project = "ragwb", Environment = "dev", CostCenter = "lab", ManagedBy = "terraform", Owner = "platform" }
  clients = ["reporting"]
}

run "each_client_has_a_key" {
  command = apply

  assert {
    condition     = length(aws_api_gateway_api_key.this) == 1
    error_message = "a client has no key"
  }
}

run "a_client_has_a_name" {
  command = plan

  variables {
    clients = ["The Reports!"]
  }

  expect_failures = [var.clients]
}

run "a_missing_tag_is_refused" {
  command = plan

  variables {
    tags = { Project = "ragwb", Environment = "dev", CostCenter = "", ManagedBy = "terraform" }
  }

  expect_failures = [var.tags]
}
