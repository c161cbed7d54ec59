mock_provider "aws" {}

variables {
  name                    = "ragwb-dev"
  tags                    = { Project = "ragwb", Environment = "dev", CostCenter = "lab", ManagedBy = "terraform", Owner = "platform" }
  region                  = "us-east-1"
  topic_arn               = "arn:aws:sns:us-east-1:111122223333:alerts"
  alb_arn_suffix          = "app/a/1"
  target_group_arn_suffix = "targetgroup/t/1"
}

run "every_alarm_tells_somebody" {
  command = apply

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : length(alarm.alarm_actions) == 1])
    error_message = "an alarm tells nobody"
  }
}

run "a_certificate_is_watched" {
  command = apply

  variables {
    certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/c"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.certificate[0].dimensions["CertificateArn"] == var.certificate_arn && length(aws_cloudwatch_metric_alarm.certificate[0].alarm_actions) == 1
    error_message = "nobody is told that a certificate ends"
  }
}

run "a_deadline_is_the_limit" {
  command = plan

  variables {
    p95_s = 500
  }

  expect_failures = [var.p95_s]
}

run "a_missing_tag_is_refused" {
  command = plan

  variables {
    tags = { Project = "ragwb", Environment = "dev", CostCenter = "", ManagedBy = "terraform" }
  }

  expect_failures = [var.tags]
}
