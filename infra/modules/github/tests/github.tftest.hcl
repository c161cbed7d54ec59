mock_provider "aws" {
  mock_resource "aws_iam_openid_connect_provider" {
    defaults = {
      arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
    }
  }
}

variables {
  name            = "ragwb-dev"
  tags            = { Project = "ragwb", Environment = "dev", CostCenter = "lab", ManagedBy = "terraform", Owner = "platform" }
  region          = "us-east-1"
  account_id      = "111122223333"
  environment     = "dev"
  subject_prefix  = "repo:org@1/ragwb@2"
  state_bucket    = "state"
  state_key_arn   = "arn:aws:kms:us-east-1:111122223333:key/k"
  data_bucket     = "data"
  kms_key_arn     = "arn:aws:kms:us-east-1:111122223333:key/k"
  repository_arns = ["arn:aws:ecr:us-east-1:111122223333:repository/ragwb-dev/serve"]
}

run "a_pull_request_can_only_plan" {
  command = apply

  assert {
    condition     = alltrue([for name, role in aws_iam_role.this : name == "plan" || !strcontains(role.assume_role_policy, "pull_request")])
    error_message = "a pull request may do more than plan"
  }

  assert {
    condition     = strcontains(aws_iam_role_policy.this["compute"].policy, "KeepWhatLasts")
    error_message = "the role that pauses may take what lasts"
  }

  assert {
    condition     = strcontains(aws_iam_role_policy.this["deploy"].policy, "ecr:GetAuthorizationToken")
    error_message = "a deployment cannot look up who built its image"
  }
}

run "a_wildcard_is_refused" {
  command = plan

  variables {
    subject_prefix = "repo:org/*"
  }

  expect_failures = [var.subject_prefix]
}

run "a_missing_tag_is_refused" {
  command = plan

  variables {
    tags = { Project = "ragwb", Environment = "dev", CostCenter = "", ManagedBy = "terraform" }
  }

  expect_failures = [var.tags]
}
