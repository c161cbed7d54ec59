# Terraform cannot mock ephemeral resources: here the provider in memory answers (tests/tools/memory_provider.py), and only plans are made.

override_data {
  target = data.terraform_remote_state.foundation

  values = {
    outputs = {
      name                 = "ragwb-dev", vpc_id = "vpc", vpc_cidr = "10.20.0.0/16", kms_key_arn = "arn:aws:kms:us-east-1:111122223333:key/k"
      bucket               = "data", logs_bucket = "logs", api_id = "api", api_root_resource_id = "root", api_key_ids = {}
      public_subnets       = { us-east-1a = "s-a", us-east-1b = "s-b" }, private_subnets = { us-east-1a = "p-a", us-east-1b = "p-b" }
      private_route_tables = { us-east-1a = "r-a", us-east-1b = "r-b" }
      cluster_role_arn     = "arn:aws:iam::111122223333:role/cluster", node_role_arn = "arn:aws:iam::111122223333:role/node"
      pods                 = { api = { namespace = "ragwb", service_account = "ragwb-api", role_arn = "arn:aws:iam::111122223333:role/api" } }
      secret_arns          = { redis = "arn:aws:secretsmanager:us-east-1:111122223333:secret:redis" }
      github_roles         = { deploy = "arn:aws:iam::111122223333:role/deploy", data-sync = "arn:aws:iam::111122223333:role/data-sync" }
      topic_arn            = "arn:aws:sns:us-east-1:111122223333:alerts", api_log_group_arn = "arn:aws:logs:us-east-1:111122223333:log-group:api"
    }
  }
}

variables {
  region           = "us-east-1"
  account_id       = "111122223333"
  owner            = "platform"
  cost_center      = "lab"
  environment      = "dev"
  foundation_state = { backend = "local", config = { path = "none" } }
  image_digest     = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  nodes            = { min = 1, desired = 1, max = 3 }
}

run "all_of_it_is_planned" {
  command = plan

  assert {
    condition     = length(module.redis) == 0
    error_message = "a managed Redis is there unasked"
  }

  assert {
    condition     = output.image_digest == "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    error_message = "what runs is not recorded"
  }

  assert {
    condition     = output.environment.FORWARDED_ALLOW_IPS == "10.20.0.0/16"
    error_message = "the pods do not know whose X-Forwarded-For to believe"
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

run "a_tag_is_no_digest" {
  command = plan

  variables {
    image_digest = "v1"
  }

  expect_failures = [var.image_digest]
}

run "a_certificate_wants_a_name" {
  command = plan

  variables {
    certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/c"
  }

  expect_failures = [var.host]
}

run "a_state_is_somewhere" {
  command = plan

  variables {
    foundation_state = { backend = "mind", config = {} }
  }

  expect_failures = [var.foundation_state]
}
