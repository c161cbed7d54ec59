mock_provider "aws" {}

variables {
  name        = "ragwb-dev"
  tags        = { Project = "ragwb", Environment = "dev", CostCenter = "lab", ManagedBy = "terraform", Owner = "platform" }
  region      = "us-east-1"
  cidr        = "10.20.0.0/16"
  other_cidrs = { prod = "10.22.0.0/16" }
}

run "zones_are_apart" {
  command = plan

  assert {
    condition     = length(aws_subnet.private) == 3 && length(distinct([for subnet in concat(values(aws_subnet.private), values(aws_subnet.public)) : subnet.cidr_block])) == 6
    error_message = "subnets share addresses"
  }

  assert {
    condition     = alltrue([for subnet in aws_subnet.public : !subnet.map_public_ip_on_launch])
    error_message = "what is put into a public subnet gets a public address"
  }
}

run "the_same_network_is_refused" {
  command = plan

  variables {
    other_cidrs = { prod = "10.20.0.0/16" }
  }

  expect_failures = [var.cidr]
}

run "a_network_inside_is_refused" {
  command = plan

  variables {
    other_cidrs = { office = "10.20.4.0/24" }
  }

  expect_failures = [var.cidr]
}

run "a_network_around_is_refused" {
  command = plan

  variables {
    other_cidrs = { company = "10.0.0.0/8" }
  }

  expect_failures = [var.cidr]
}

run "a_host_is_no_network" {
  command = plan

  variables {
    cidr = "10.20.0.1/16"
  }

  expect_failures = [var.cidr]
}

run "no_network_is_refused" {
  command = plan

  variables {
    cidr = "ten"
  }

  expect_failures = [var.cidr]
}

run "too_small_is_refused" {
  command = plan

  variables {
    cidr = "10.20.0.0/24"
  }

  expect_failures = [var.cidr]
}

run "one_zone_is_refused" {
  command = plan

  variables {
    zones = ["a"]
  }

  expect_failures = [var.zones]
}

run "a_missing_tag_is_refused" {
  command = plan

  variables {
    tags = { Project = "ragwb", Environment = "dev", CostCenter = "", ManagedBy = "terraform" }
  }

  expect_failures = [var.tags]
}
