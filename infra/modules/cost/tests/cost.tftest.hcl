mock_provider "aws" {
  mock_resource "aws_ce_anomaly_monitor" {
    defaults = {
      arn = "arn:aws:ce::111122223333:anomalymonitor/1"
    }
  }
}

variables {
  name      = "ragwb-dev"
  tags      = { Project = "ragwb", Environment = "dev", CostCenter = "lab", ManagedBy = "terraform", Owner = "platform" }
  topic_arn = "arn:aws:sns:us-east-1:111122223333:alerts"
  month_usd = 150
}

run "the_budget_is_this_environments" {
  command = apply

  assert {
    condition     = one(aws_budgets_budget.month.cost_filter).values[0] == "user:Environment$dev"
    error_message = "another environment is counted"
  }

  assert {
    condition     = length(aws_budgets_budget.month.notification) == 4
    error_message = "a threshold is missing"
  }
}

run "no_budget_is_refused" {
  command = plan

  variables {
    month_usd = 0
  }

  expect_failures = [var.month_usd]
}

run "a_missing_tag_is_refused" {
  command = plan

  variables {
    tags = { Project = "ragwb", Environment = "dev", CostCenter = "", ManagedBy = "terraform" }
  }

  expect_failures = [var.tags]
}
