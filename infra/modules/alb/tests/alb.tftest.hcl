mock_provider "aws" {
  mock_resource "aws_lb" {
    defaults = {
      arn = "arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/app/ragwb-dev/1"
    }
  }

  mock_resource "aws_lb_target_group" {
    defaults = {
      arn = "arn:aws:elasticloadbalancing:us-east-1:111122223333:targetgroup/ragwb-dev/1"
    }
  }
}

variables {
  name                   = "ragwb-dev"
  tags                   = { Project = "ragwb", Environment = "dev", CostCenter = "lab", ManagedBy = "terraform", Owner = "platform" }
  vpc_id                 = "vpc"
  subnet_ids             = ["a", "b"]
  node_security_group_id = "sg"
  allowed_cidrs          = { vpc = "10.20.0.0/16" }
}

run "it_can_be_paused" {
  command = apply

  assert {
    condition     = !aws_lb.this.enable_deletion_protection && aws_lb.this.internal
    error_message = "a pause would fail, or the internet would reach it"
  }

  assert {
    condition     = aws_lb_target_group.this.port == 8321 && aws_lb_target_group.this.health_check[0].path == "/readyz"
    error_message = "the pods listen elsewhere"
  }
}

run "the_internet_wants_a_certificate" {
  command = plan

  variables {
    internal = false
  }

  expect_failures = [var.certificate_arn]
}

run "a_network_is_wanted" {
  command = plan

  variables {
    allowed_cidrs = { all = "everybody" }
  }

  expect_failures = [var.allowed_cidrs]
}

run "a_missing_tag_is_refused" {
  command = plan

  variables {
    tags = { Project = "ragwb", Environment = "dev", CostCenter = "", ManagedBy = "terraform" }
  }

  expect_failures = [var.tags]
}
