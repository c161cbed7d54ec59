mock_provider "aws" {}

variables {
  name                 = "ragwb-dev"
  tags                 = { Project = "ragwb", Environment = "dev", CostCenter = "lab", ManagedBy = "terraform", Owner = "platform" }
  public_subnets       = { us-east-1a = "s-a", us-east-1b = "s-b" }
  private_route_tables = { us-east-1a = "r-a", us-east-1b = "r-b" }
}

run "one_for_all" {
  command = apply

  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_route.out) == 2
    error_message = "one gateway is wanted, and a route of each table"
  }
}

run "one_for_each" {
  variables {
    one_per_zone = true
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 2 && aws_route.out["us-east-1b"].nat_gateway_id == aws_nat_gateway.this["us-east-1b"].id
    error_message = "a zone leads out through another"
  }
}

run "no_subnet_is_refused" {
  command = plan

  variables {
    public_subnets = {}
  }

  expect_failures = [var.public_subnets]
}

run "a_missing_tag_is_refused" {
  command = plan

  variables {
    tags = { Project = "ragwb", Environment = "dev", CostCenter = "", ManagedBy = "terraform" }
  }

  expect_failures = [var.tags]
}
