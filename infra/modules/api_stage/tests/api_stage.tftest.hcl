mock_provider "aws" {}

variables {
  name                  = "ragwb-dev"
  tags                  = { Project = "ragwb", Environment = "dev", CostCenter = "lab", ManagedBy = "terraform", Owner = "platform" }
  api_id                = "api"
  root_resource_id      = "root"
  vpc_id                = "vpc"
  subnet_ids            = ["a", "b"]
  alb_arn               = "arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/app/ragwb-dev/1"
  alb_url               = "http://alb"
  alb_port              = 80
  alb_security_group_id = "sg"
  log_group_arn         = "arn:aws:logs:us-east-1:111122223333:log-group:api"
}

run "answers_are_streamed_and_not_logged" {
  command = apply

  assert {
    condition     = aws_api_gateway_integration.any.response_transfer_mode == "STREAM"
    error_message = "an answer comes in one piece"
  }

  assert {
    condition     = !aws_api_gateway_method_settings.this.settings[0].data_trace_enabled
    error_message = "questions would be logged"
  }
}

run "fifteen_minutes_at_most" {
  command = plan

  variables {
    timeout_s = 1000
  }

  expect_failures = [var.timeout_s]
}

run "a_missing_tag_is_refused" {
  command = plan

  variables {
    tags = { Project = "ragwb", Environment = "dev", CostCenter = "", ManagedBy = "terraform" }
  }

  expect_failures = [var.tags]
}
