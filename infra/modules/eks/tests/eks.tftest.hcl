mock_provider "aws" {
  mock_resource "aws_eks_node_group" {
    defaults = {
      resources = [{ autoscaling_groups = [{ name = "group" }], remote_access_security_group_id = "sg" }]
    }
  }

  mock_resource "aws_launch_template" {
    defaults = {
      latest_version = 1
    }
  }
}

variables {
  name               = "ragwb-dev"
  tags               = { Project = "ragwb", Environment = "dev", CostCenter = "lab", ManagedBy = "terraform", Owner = "platform" }
  kubernetes_version = "1.34"
  vpc_id             = "vpc"
  subnet_ids         = ["a", "b"]
  cluster_role_arn   = "arn:aws:iam::111122223333:role/cluster"
  node_role_arn      = "arn:aws:iam::111122223333:role/node"
  kms_key_arn        = "arn:aws:kms:us-east-1:111122223333:key/k"
  nodes              = { min = 1, desired = 1, max = 3 }
  pods               = { api = { namespace = "ragwb", service_account = "ragwb-api", role_arn = "arn:aws:iam::111122223333:role/api" } }
  schedule           = { evening = { cron = "0 19 * * 1-5", min = 0, desired = 0, max = 3 } }
}

run "it_can_be_paused" {
  command = plan

  assert {
    condition     = !aws_eks_cluster.this.deletion_protection && alltrue([for addon in aws_eks_addon.network : !addon.preserve])
    error_message = "a pause would fail"
  }

  assert {
    condition     = aws_eks_cluster.this.upgrade_policy[0].support_type == "STANDARD"
    error_message = "an old version would cost six times as much"
  }

  assert {
    condition     = aws_launch_template.node.metadata_options[0].http_put_response_hop_limit == 1
    error_message = "a pod reaches the credentials of its node"
  }

  assert {
    condition     = !aws_eks_cluster.this.vpc_config[0].endpoint_public_access
    error_message = "the API of Kubernetes is public"
  }
}

run "who_only_starts_jobs_does_not_administer" {
  command = plan

  variables {
    editor_arns = { data-sync = "arn:aws:iam::111122223333:role/ragwb-dev-github-data-sync" }
  }

  assert {
    condition     = length(aws_eks_access_policy_association.admin) == 0 && aws_eks_access_policy_association.editor["data-sync"].access_scope[0].type == "namespace"
    error_message = "data-sync may do more than start jobs in its namespace"
  }
}

run "the_whole_internet_is_refused" {
  command = plan

  variables {
    public_access_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [var.public_access_cidrs]
}

run "more_than_most_is_refused" {
  command = plan

  variables {
    nodes = { min = 1, desired = 5, max = 3 }
  }

  expect_failures = [var.nodes]
}

run "one_subnet_is_refused" {
  command = plan

  variables {
    subnet_ids = ["a"]
  }

  expect_failures = [var.subnet_ids]
}

run "a_patch_is_no_minor_version" {
  command = plan

  variables {
    kubernetes_version = "1.34.2"
  }

  expect_failures = [var.kubernetes_version]
}

run "a_cron_has_five_fields" {
  command = plan

  variables {
    schedule = { evening = { cron = "19:00", min = 0, desired = 0, max = 3 } }
  }

  expect_failures = [var.schedule]
}

run "a_missing_tag_is_refused" {
  command = plan

  variables {
    tags = { Project = "ragwb", Environment = "dev", CostCenter = "", ManagedBy = "terraform" }
  }

  expect_failures = [var.tags]
}
