mock_provider "aws" {}

variables {
  region      = "us-east-1"
  account_id  = "111122223333"
  owner       = "platform"
  cost_center = "lab"
}

run "no_lock_table" {
  command = plan

  assert {
    condition     = length(aws_dynamodb_table.lock) == 0
    error_message = "S3 locks by itself"
  }
}

run "unless_it_is_asked_for" {
  command = plan

  variables {
    lock_table = true
  }

  assert {
    condition     = aws_dynamodb_table.lock[0].hash_key == "LockID"
    error_message = "Terraform looks for LockID"
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
