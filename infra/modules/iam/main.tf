# All roles of an environment, kept while compute comes and goes: Pod Identity's trust names a service, not a cluster, so a new cluster finds it unchanged
# (IRSA's trust names the cluster's own issuer), and network interfaces are given back under a role that is still there.
locals {
  bucket = "arn:aws:s3:::${var.bucket}"

  model_arns = concat(
    [for model in var.chat_models : "arn:aws:bedrock:*::foundation-model/${model}"], # why: an inference profile sends the call to any region of its geography
    ["arn:aws:bedrock:${var.region}:${var.account_id}:inference-profile/*.amazon.nova-*"],
    ["arn:aws:bedrock:${var.region}:${var.account_id}:application-inference-profile/*"],
  )
  embedding_arns = [for model in var.embedding_models : "arn:aws:bedrock:${var.region}::foundation-model/${model}"]

  # The workbench keeps everything below index/ (RAGWB_STORAGE); raw documents come in at documents/. tests/test_cloud_roles.py does a day's work with these.
  index_prefixes  = ["index/documents", "index/lancedb", "index/removed"]
  answer_names    = ["answers", "conversations", "candidates", "prompts", "configs", "aliases", "ab", "access", "audit", "deletions", "ledger", "locks", "titles"]
  answer_prefixes = [for name in local.answer_names : "index/${name}"]
  choice          = "index/model.json" # the model that was chosen in the app
  # Whose documents go takes answers, conversations and candidates that rest on them along.
  ingest_prefixes = concat(local.index_prefixes, [for name in ["answers", "conversations", "candidates", "audit", "deletions", "ledger", "locks"] : "index/${name}"], ["versions", "reports"])

  list_bucket = {
    Sid      = "List"
    Effect   = "Allow"
    Action   = ["s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:GetBucketLocation"]
    Resource = local.bucket
  }
  use_key = {
    Sid      = "UseTheKey"
    Effect   = "Allow"
    Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource = var.kms_key_arn
  }
  embed = {
    Sid      = "Embed"
    Effect   = "Allow"
    Action   = "bedrock:InvokeModel"
    Resource = local.embedding_arns
  }
  chat = [
    {
      Sid      = "Chat"
      Effect   = "Allow"
      Action   = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]
      Resource = local.model_arns
    },
    {
      # A call without the guardrail, or under another one, is refused by AWS whatever the program says.
      Sid       = "ChatOnlyUnderTheGuardrail"
      Effect    = "Deny"
      Action    = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]
      Resource  = local.model_arns
      Condition = { StringNotLike = { "bedrock:GuardrailIdentifier" = ["${var.guardrail_arn}", "${var.guardrail_arn}:*"] } }
    },
    {
      Sid      = "Guard"
      Effect   = "Allow"
      Action   = ["bedrock:ApplyGuardrail", "bedrock:GetGuardrail"]
      Resource = var.guardrail_arn
    },
    {
      Sid      = "Rerank"
      Effect   = "Allow"
      Action   = "bedrock:Rerank"
      Resource = "*" # why: Rerank knows no resource; which model it may use is said by InvokeModel
    },
    {
      Sid      = "RerankModel"
      Effect   = "Allow"
      Action   = "bedrock:InvokeModel"
      Resource = "arn:aws:bedrock:${var.region}::foundation-model/amazon.rerank-v1:0"
    },
  ]

  # A pod may do what is listed here and nothing else.
  pods = merge(local.always, { for name, pod in local.tracking : name => pod if var.shared_mlflow })
  tracking = {
    mlflow = {
      namespace       = "ragwb"
      service_account = "ragwb-mlflow"
      statements = [
        local.use_key,
        {
          Sid       = "ListOwnFiles"
          Effect    = "Allow"
          Action    = "s3:ListBucket"
          Resource  = local.bucket
          Condition = { StringLike = { "s3:prefix" = ["mlflow", "mlflow/*"] } }
        },
        {
          Sid      = "KeepOwnFiles"
          Effect   = "Allow"
          Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
          Resource = "${local.bucket}/mlflow/*"
        },
      ]
    }
  }
  always = {
    api = {
      namespace       = "ragwb"
      service_account = "ragwb-api"
      statements = concat([
        local.list_bucket, local.use_key, local.embed,
        {
          # The collector beside the pods runs under the same account.
          Sid      = "SendTraces"
          Effect   = "Allow"
          Action   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets"]
          Resource = "*" # why: X-Ray's writing actions know no resource
        },
        {
          Sid      = "ReadTheIndex"
          Effect   = "Allow"
          Action   = "s3:GetObject"
          Resource = concat([for prefix in concat(local.index_prefixes, local.answer_prefixes) : "${local.bucket}/${prefix}/*"], ["${local.bucket}/${local.choice}"])
        },
        {
          Sid      = "KeepAnswers"
          Effect   = "Allow"
          Action   = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
          Resource = concat([for prefix in concat(local.answer_prefixes, var.api_may_ingest ? local.index_prefixes : []) : "${local.bucket}/${prefix}/*"], ["${local.bucket}/${local.choice}"])
        },
      ], local.chat)
    }
    ingest = {
      namespace       = "ragwb"
      service_account = "ragwb-ingest"
      statements = [
        local.list_bucket, local.use_key, local.embed,
        {
          Sid      = "WriteTheIndex"
          Effect   = "Allow"
          Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
          Resource = [for prefix in local.ingest_prefixes : "${local.bucket}/${prefix}/*"]
        },
        {
          Sid      = "ReadDocumentsAndConfigs"
          Effect   = "Allow"
          Action   = "s3:GetObject"
          Resource = concat([for prefix in ["documents", "index/configs", "index/aliases", "index/prompts"] : "${local.bucket}/${prefix}/*"], ["${local.bucket}/${local.choice}"])
        },
        {
          Sid      = "ScanForPersonalData"
          Effect   = "Allow"
          Action   = "bedrock:ApplyGuardrail"
          Resource = var.guardrail_arn
        },
      ]
    }
    external-secrets = {
      namespace       = "external-secrets"
      service_account = "external-secrets"
      statements = [
        local.use_key,
        {
          Sid      = "ReadSecrets"
          Effect   = "Allow"
          Action   = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
          Resource = var.secret_arns
        },
      ]
    }
    # Terraform owns the load balancer; the controller only registers pods with target groups (TargetGroupBinding).
    load-balancer = {
      namespace       = "kube-system"
      service_account = "aws-load-balancer-controller"
      statements = [
        {
          Sid       = "RegisterPods"
          Effect    = "Allow"
          Action    = ["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:ModifyTargetGroup"]
          Resource  = "arn:aws:elasticloadbalancing:${var.region}:${var.account_id}:targetgroup/${var.name}*/*"
          Condition = { StringEquals = { "aws:ResourceTag/Environment" = var.tags["Environment"] } }
        },
        {
          Sid    = "Look"
          Effect = "Allow"
          Action = [
            "elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetHealth", "elasticloadbalancing:DescribeTargetGroupAttributes",
            "elasticloadbalancing:DescribeLoadBalancers", "elasticloadbalancing:DescribeTags", "ec2:DescribeVpcs", "ec2:DescribeSubnets",
            "ec2:DescribeSecurityGroups", "ec2:DescribeInstances", "ec2:DescribeNetworkInterfaces", "ec2:DescribeAvailabilityZones",
          ]
          Resource = "*" # why: Describe actions of EC2 and ELB know no resource
        },
      ]
    }
  }

  managed = {
    cluster = ["AmazonEKSClusterPolicy"]
    node    = ["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly", "AmazonSSMManagedInstanceCore"]
  }
  attachments = merge([for role, policies in local.managed : { for policy in policies : "${role}-${policy}" => { role = role, policy = policy } }]...)
}

resource "aws_iam_role" "service" {
  for_each = { cluster = "eks.amazonaws.com", node = "ec2.amazonaws.com" }

  name        = "${var.name}-${each.key}"
  description = "EKS ${each.key} of ${var.name}"
  tags        = var.tags
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = each.value }, Action = each.key == "cluster" ? ["sts:AssumeRole", "sts:TagSession"] : ["sts:AssumeRole"] }]
  })
}

resource "aws_iam_role_policy_attachment" "service" {
  for_each = local.attachments

  role       = aws_iam_role.service[each.value.role].name
  policy_arn = "arn:aws:iam::aws:policy/${each.value.policy}"
}

resource "aws_iam_role" "pod" {
  for_each = local.pods

  name        = "${var.name}-pod-${each.key}"
  description = "${each.value.namespace}/${each.value.service_account} of ${var.name}"
  tags        = var.tags
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Condition = {
        StringEquals = {
          "aws:SourceAccount"                         = var.account_id
          "aws:RequestTag/kubernetes-namespace"       = each.value.namespace
          "aws:RequestTag/kubernetes-service-account" = each.value.service_account
          "aws:RequestTag/eks-cluster-name"           = var.name
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "pod" {
  for_each = local.pods

  name   = each.key
  role   = aws_iam_role.pod[each.key].id
  policy = jsonencode({ Version = "2012-10-17", Statement = each.value.statements })
}
