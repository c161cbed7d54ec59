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

run "the_internet_meets_a_firewall" {
  command = plan

  variables {
    internal        = false
    certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/c"
    allowed_cidrs   = { all = "0.0.0.0/0" }
  }

  assert {
    condition     = length(aws_wafv2_web_acl.this) == 1 && length(aws_wafv2_web_acl_association.this) == 1 && length(jsondecode(aws_wafv2_web_acl.this[0].rule_json)) == 4
    error_message = "a public load balancer has no WAF"
  }
}

run "an_internal_one_pays_for_none" {
  command = plan

  assert {
    condition     = length(aws_wafv2_web_acl.this) == 0
    error_message = "a WAF before what the internet does not reach"
  }
}
