# Terraform cannot mock ephemeral resources: here the provider in memory answers (tests/tools/memory_provider.py), and only plans are made.

variables {
  region      = "us-east-1"
  account_id  = "111122223333"
  owner       = "platform"
  cost_center = "lab"
  environment = "dev"
  vpc_cidr    = "10.20.0.0/16"
  models      = { small = { model = "amazon.nova-2-lite-v1:0", profile = "us" } }
  month_usd   = 150
}

run "nothing_that_costs_by_the_hour" {
  command = plan

  assert {
    condition     = length(module.rds) == 0 && length(module.github) == 0
    error_message = "what is optional is there unasked"
  }
}

run "a_wrong_region_is_refused" {
  command = plan

  variables {
    region = "eu-central-7"
  }

  expect_failures = [var.region]
}

run "an_account_has_twelve_digits" {
  command = plan

  variables {
    account_id = "1234"
  }

  expect_failures = [var.account_id]
}

run "an_unknown_environment_is_refused" {
  command = plan

  variables {
    environment = "production"
  }

  expect_failures = [var.environment]
}

run "a_secret_must_be_there_to_be_rotated" {
  command = plan

  variables {
    secret_generations = { readis = 2 }
  }

  expect_failures = [var.secret_generations]
}

run "github_wants_the_key_of_the_states" {
  command = plan

  variables {
    github_subject_prefix = "repo:org/ragwb"
  }

  expect_failures = [var.state_key_arn]
}
