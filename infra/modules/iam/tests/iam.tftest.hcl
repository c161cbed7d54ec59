mock_provider "aws" {}

variables {
  name          = "ragwb-dev"
  tags          = { Project = "ragwb", Environment = "dev", CostCenter = "lab", ManagedBy = "terraform", Owner = "platform" }
  region        = "us-east-1"
  account_id    = "111122223333"
  bucket        = "ragwb-dev-data"
  kms_key_arn   = "arn:aws:kms:us-east-1:111122223333:key/k"
  guardrail_arn = "arn:aws:bedrock:us-east-1:111122223333:guardrail/g"
  chat_models   = ["amazon.nova-2-lite-v1:0"]
  secret_arns   = ["arn:aws:secretsmanager:us-east-1:111122223333:secret:s"]
}

run "the_api_only_reads_the_index" {
  command = apply

  assert {
    condition     = !strcontains(jsonencode([for statement in jsondecode(aws_iam_role_policy.pod["api"].policy).Statement : statement.Resource if try(contains(statement.Action, "s3:PutObject"), false)]), "lancedb")
    error_message = "the API may write the index"
  }
}

run "unless_it_may_ingest" {
  variables {
    api_may_ingest = true
  }

  assert {
    condition     = strcontains(jsonencode([for statement in jsondecode(aws_iam_role_policy.pod["api"].policy).Statement : statement.Resource if try(contains(statement.Action, "s3:PutObject"), false)]), "lancedb")
    error_message = "uploads in the app would fail"
  }
}

run "no_mlflow_unasked" {
  assert {
    condition     = !contains(keys(aws_iam_role.pod), "mlflow")
    error_message = "a role for what does not run"
  }
}

run "a_shared_mlflow_keeps_to_its_own_files" {
  variables {
    shared_mlflow = true
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.pod["mlflow"].policy).Statement :
      statement.Resource == "arn:aws:s3:::ragwb-dev-data/mlflow/*" if contains(flatten([statement.Action]), "s3:PutObject")
    ]) && length(jsondecode(aws_iam_role_policy.pod["mlflow"].policy).Statement) == 3
    error_message = "MLflow may write elsewhere"
  }

  assert {
    condition     = output.pods["mlflow"].service_account == "ragwb-mlflow"
    error_message = "the Deployment's account has no role"
  }
}

run "a_wildcard_is_no_model" {
  command = plan

  variables {
    chat_models = ["*"]
  }

  expect_failures = [var.chat_models]
}

run "nor_is_a_profile" {
  command = plan

  variables {
    chat_models = ["us.amazon.nova-2-lite-v1:0"]
  }

  expect_failures = [var.chat_models]
}

run "a_missing_tag_is_refused" {
  command = plan

  variables {
    tags = { Project = "ragwb", Environment = "dev", CostCenter = "", ManagedBy = "terraform" }
  }

  expect_failures = [var.tags]
}
