mock_provider "aws" {}

variables {
  name        = "ragwb-dev"
  tags        = { Project = "ragwb", Environment = "dev", CostCenter = "lab", ManagedBy = "terraform", Owner = "platform" }
  region      = "us-east-1"
  account_id  = "111122223333"
  kms_key_arn = "arn:aws:kms:us-east-1:111122223333:key/k"
  models      = { small = { model = "amazon.nova-2-lite-v1:0", profile = "us" } }
}

run "a_profile_of_our_own" {
  command = apply

  assert {
    condition     = aws_bedrock_inference_profile.this["small"].model_source[0].copy_from == "arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.amazon.nova-2-lite-v1:0"
    error_message = "the profile copies another"
  }

  assert {
    condition     = aws_bedrock_inference_profile.this["small"].tags["CostCenter"] == "lab"
    error_message = "the bill cannot be divided"
  }
}

run "nova_2_wants_a_geography" {
  command = plan

  variables {
    models = { small = { model = "amazon.nova-2-lite-v1:0", profile = "" } }
  }

  expect_failures = [var.models]
}

run "an_unknown_geography_is_refused" {
  command = plan

  variables {
    models = { small = { model = "amazon.nova-2-lite-v1:0", profile = "mars" } }
  }

  expect_failures = [var.models]
}

run "a_threshold_is_a_share" {
  command = plan

  variables {
    grounding_threshold = 7
  }

  expect_failures = [var.grounding_threshold]
}

run "a_missing_tag_is_refused" {
  command = plan

  variables {
    tags = { Project = "ragwb", Environment = "dev", CostCenter = "", ManagedBy = "terraform" }
  }

  expect_failures = [var.tags]
}
