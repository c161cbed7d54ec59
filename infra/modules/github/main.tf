# GitHub's workflows sign in with a token of their own, no key is stored anywhere. One role for each thing that a workflow does.
locals {
  issuer  = "token.actions.githubusercontent.com"
  account = "${var.region}:${var.account_id}"

  sign_in = { Sid = "SignIn", Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*" } # why: a token is for the registry, not for a repository

  state = "arn:aws:s3:::${var.state_bucket}"
  read_state = [
    { Sid = "ListState", Effect = "Allow", Action = "s3:ListBucket", Resource = local.state },
    { Sid = "ReadState", Effect = "Allow", Action = "s3:GetObject", Resource = "${local.state}/${var.environment}/*" },
    { Sid = "StateKey", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = var.state_key_arn },
  ]
  write_compute_state = {
    Sid      = "WriteComputeState"
    Effect   = "Allow"
    Action   = ["s3:PutObject", "s3:DeleteObject"]
    Resource = ["${local.state}/${var.environment}/operation.json", "${local.state}/${var.environment}/compute.tfstate", "${local.state}/${var.environment}/compute.tfstate.tflock"]
  }

  # Whatever else a role is ever allowed: nothing that pauses and resumes may take what lasts.
  keep_what_lasts = [
    {
      Sid    = "KeepWhatLasts"
      Effect = "Deny"
      Action = [
        "s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:DeleteObjectVersion", "s3:PutLifecycleConfiguration", "s3:PutBucketVersioning",
        "ecr:DeleteRepository", "ecr:BatchDeleteImage", "secretsmanager:DeleteSecret", "kms:ScheduleKeyDeletion", "kms:DisableKey",
        "rds:DeleteDBCluster", "rds:DeleteDBInstance", "iam:DeleteRole", "iam:DeleteRolePolicy", "ec2:DeleteVpc", "ec2:DeleteSubnet",
        "bedrock:DeleteGuardrail",
      ]
      Resource  = "*" # why: a Deny holds for everything
      Condition = { StringNotLike = { "aws:ResourceTag/Stack" = "compute" } }
    },
    {
      Sid      = "KeepFoundationState"
      Effect   = "Deny"
      Action   = ["s3:PutObject", "s3:DeleteObject"]
      Resource = ["${local.state}/*/foundation.tfstate*", "${local.state}/bootstrap.tfstate*"]
    },
  ]

  roles = {
    plan = {
      subjects = ["${var.subject_prefix}:pull_request", "${var.subject_prefix}:environment:${var.environment}"]
      managed  = ["arn:aws:iam::aws:policy/ReadOnlyAccess"]
      statements = concat(local.read_state, [{
        # ReadOnlyAccess reads objects too; a plan needs none of them.
        Sid      = "NoDocuments"
        Effect   = "Deny"
        Action   = ["s3:GetObject", "s3:GetObjectVersion", "secretsmanager:GetSecretValue"]
        Resource = ["arn:aws:s3:::${var.data_bucket}/*", "arn:aws:secretsmanager:${local.account}:secret:*"]
      }])
    }
    images = {
      subjects = ["${var.subject_prefix}:environment:${var.environment}"]
      managed  = []
      statements = [
        local.sign_in,
        {
          Sid    = "Push"
          Effect = "Allow"
          Action = [
            "ecr:BatchCheckLayerAvailability", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage",
            "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:DescribeImages",
          ]
          Resource = var.repository_arns
        },
        { Sid = "Key", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = var.kms_key_arn },
      ]
    }
    deploy = {
      subjects = ["${var.subject_prefix}:environment:${var.environment}"]
      managed  = []
      statements = [
        { Sid = "FindCluster", Effect = "Allow", Action = "eks:DescribeCluster", Resource = "arn:aws:eks:${local.account}:cluster/${var.name}" },
        { Sid = "FindImage", Effect = "Allow", Action = ["ecr:DescribeImages", "ecr:BatchGetImage"], Resource = var.repository_arns },
        local.sign_in, # the attestation of an image is looked up at the registry
      ]
    }
    data-sync = {
      subjects = ["${var.subject_prefix}:environment:${var.environment}"]
      managed  = []
      statements = [
        { Sid = "List", Effect = "Allow", Action = "s3:ListBucket", Resource = "arn:aws:s3:::${var.data_bucket}" },
        { Sid = "Documents", Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], Resource = [for prefix in ["documents", "versions", "reports"] : "arn:aws:s3:::${var.data_bucket}/${prefix}/*"] },
        { Sid = "Key", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = var.kms_key_arn },
        { Sid = "FindCluster", Effect = "Allow", Action = "eks:DescribeCluster", Resource = "arn:aws:eks:${local.account}:cluster/${var.name}" },
      ]
    }
    costs = {
      subjects   = ["${var.subject_prefix}:environment:${var.environment}"]
      managed    = []
      statements = [{ Sid = "Costs", Effect = "Allow", Action = "ce:GetCostAndUsage", Resource = "*" }] # why: Cost Explorer knows no resource
    }
    experiments = {
      subjects = ["${var.subject_prefix}:environment:${var.environment}"]
      managed  = []
      statements = [
        {
          Sid    = "Models"
          Effect = "Allow"
          Action = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]
          Resource = concat(
            [for model in var.chat_models : "arn:aws:bedrock:*::foundation-model/${model}"], # why: an inference profile sends the call to any region of its geography
            ["arn:aws:bedrock:${local.account}:inference-profile/*.amazon.nova-*", "arn:aws:bedrock:${local.account}:application-inference-profile/*"],
            [for model in ["amazon.titan-embed-text-v2:0", "amazon.rerank-v1:0"] : "arn:aws:bedrock:${var.region}::foundation-model/${model}"],
          )
        },
        { Sid = "Guard", Effect = "Allow", Action = ["bedrock:ApplyGuardrail", "bedrock:GetGuardrail"], Resource = "arn:aws:bedrock:${local.account}:guardrail/*" },
        { Sid = "Rerank", Effect = "Allow", Action = "bedrock:Rerank", Resource = "*" }, # why: Rerank knows no resource; which model it may use is said by InvokeModel
      ]
    }
    compute = {
      subjects = ["${var.subject_prefix}:environment:${var.environment}"]
      managed  = ["arn:aws:iam::aws:policy/ReadOnlyAccess"]
      statements = concat(local.read_state, [
        local.write_compute_state,
        {
          Sid    = "Create"
          Effect = "Allow"
          Action = [
            "ec2:AllocateAddress", "ec2:CreateNatGateway", "ec2:CreateSecurityGroup", "ec2:CreateLaunchTemplate", "ec2:RunInstances",
            "eks:CreateCluster", "eks:CreateAddon", "eks:CreateNodegroup", "eks:CreateAccessEntry", "eks:CreatePodIdentityAssociation",
            "elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:CreateTargetGroup", "elasticloadbalancing:CreateListener",
            "elasticache:CreateReplicationGroup", "elasticache:CreateCacheSubnetGroup", "cloudwatch:PutMetricAlarm", "wafv2:CreateWebACL",
          ]
          Resource  = "*" # why: what is created has no name yet; the tag that it must carry limits it
          Condition = { StringEquals = { "aws:RequestTag/Environment" = var.environment } }
        },
        {
          # These know no tag of the request: they add to what is there.
          Sid      = "CreateInside"
          Effect   = "Allow"
          Action   = ["ec2:RunInstances", "ec2:CreateNatGateway", "ec2:CreateSecurityGroup", "elasticache:CreateReplicationGroup"]
          Resource = [for kind in ["subnet/*", "vpc/*", "elastic-ip/*", "security-group/*", "network-interface/*", "launch-template/*"] : "arn:aws:ec2:${local.account}:${kind}"]
        },
        {
          Sid    = "ChangeAndDestroyOwn"
          Effect = "Allow"
          Action = [
            "ec2:ReleaseAddress", "ec2:DisassociateAddress", "ec2:DeleteNatGateway", "ec2:CreateRoute", "ec2:DeleteRoute", "ec2:ReplaceRoute", "ec2:DeleteSecurityGroup",
            "ec2:AuthorizeSecurityGroupIngress", "ec2:AuthorizeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress", "ec2:RevokeSecurityGroupEgress",
            "ec2:ModifySecurityGroupRules", "ec2:CreateLaunchTemplateVersion", "ec2:ModifyLaunchTemplate", "ec2:DeleteLaunchTemplate",
            "ec2:TerminateInstances", "ec2:DeleteNetworkInterface", "ec2:DeleteVolume",
            "eks:UpdateClusterConfig", "eks:UpdateClusterVersion", "eks:DeleteCluster", "eks:UpdateAddon", "eks:DeleteAddon", "eks:UpdateNodegroupConfig",
            "eks:UpdateNodegroupVersion", "eks:DeleteNodegroup", "eks:DeleteAccessEntry", "eks:AssociateAccessPolicy", "eks:DisassociateAccessPolicy",
            "eks:UpdatePodIdentityAssociation", "eks:DeletePodIdentityAssociation",
            "elasticloadbalancing:ModifyLoadBalancerAttributes", "elasticloadbalancing:SetSecurityGroups", "elasticloadbalancing:DeleteLoadBalancer",
            "elasticloadbalancing:ModifyTargetGroup", "elasticloadbalancing:ModifyTargetGroupAttributes", "elasticloadbalancing:DeleteTargetGroup",
            "elasticloadbalancing:ModifyListener", "elasticloadbalancing:DeleteListener", "autoscaling:PutScheduledUpdateGroupAction",
            "autoscaling:DeleteScheduledAction", "autoscaling:UpdateAutoScalingGroup", "elasticache:ModifyReplicationGroup",
            "elasticache:DeleteReplicationGroup", "elasticache:DeleteCacheSubnetGroup", "cloudwatch:DeleteAlarms",
            "wafv2:UpdateWebACL", "wafv2:DeleteWebACL", "wafv2:AssociateWebACL", "wafv2:DisassociateWebACL", "elasticloadbalancing:SetWebAcl",
          ]
          Resource  = "*" # why: ids change with every resume; the tag limits it
          Condition = { StringEquals = { "aws:ResourceTag/Environment" = var.environment } }
        },
        {
          Sid       = "Tag"
          Effect    = "Allow"
          Action    = ["ec2:CreateTags", "eks:TagResource", "elasticloadbalancing:AddTags", "elasticache:AddTagsToResource", "cloudwatch:TagResource", "wafv2:TagResource"]
          Resource  = "*" # why: what is tagged while it is created has no name yet
          Condition = { StringEquals = { "aws:RequestTag/Environment" = var.environment } }
        },
        {
          Sid      = "Gateway"
          Effect   = "Allow"
          Action   = ["apigateway:GET", "apigateway:POST", "apigateway:PUT", "apigateway:PATCH"]
          Resource = [for path in ["/restapis/*", "/vpclinks*", "/v2/vpclinks*", "/usageplans*", "/tags/*"] : "arn:aws:apigateway:${var.region}::${path}"]
        },
        {
          # Below the API, never the API: its address and its keys last.
          Sid      = "GatewayDelete"
          Effect   = "Allow"
          Action   = "apigateway:DELETE"
          Resource = [for path in ["/restapis/*/resources/*", "/restapis/*/deployments/*", "/restapis/*/stages/*", "/vpclinks/*", "/v2/vpclinks/*", "/usageplans/*"] : "arn:aws:apigateway:${var.region}::${path}"]
        },
        { Sid = "Dashboards", Effect = "Allow", Action = ["cloudwatch:PutDashboard", "cloudwatch:DeleteDashboards"], Resource = "arn:aws:cloudwatch::${var.account_id}:dashboard/${var.name}*" },
        {
          Sid       = "HandRolesToEks"
          Effect    = "Allow"
          Action    = "iam:PassRole"
          Resource  = "arn:aws:iam::${var.account_id}:role/${var.name}-*"
          Condition = { StringEquals = { "iam:PassedToService" = ["eks.amazonaws.com", "ec2.amazonaws.com", "pods.eks.amazonaws.com"] } }
        },
        { Sid = "EncryptKubernetesSecrets", Effect = "Allow", Action = ["kms:CreateGrant", "kms:DescribeKey", "kms:Decrypt", "kms:GenerateDataKey"], Resource = var.kms_key_arn },
      ], local.keep_what_lasts)
    }
  }
  attachments = merge([for name, role in local.roles : { for arn in role.managed : "${name}-${basename(arn)}" => { role = name, arn = arn } }]...)
}

resource "aws_iam_openid_connect_provider" "this" {
  count = var.provider_arn == "" ? 1 : 0

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
  tags           = var.tags
}

resource "aws_iam_role" "this" {
  for_each = local.roles

  name                 = "${var.name}-github-${each.key}"
  description          = "GitHub Actions: ${each.key} of ${var.name}"
  max_session_duration = each.key == "compute" ? 7200 : 3600
  tags                 = var.tags
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = var.provider_arn == "" ? aws_iam_openid_connect_provider.this[0].arn : var.provider_arn }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = { "${local.issuer}:aud" = "sts.amazonaws.com", "${local.issuer}:sub" = each.value.subjects }
      }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  for_each = local.roles

  name   = each.key
  role   = aws_iam_role.this[each.key].id
  policy = jsonencode({ Version = "2012-10-17", Statement = each.value.statements })
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = local.attachments

  role       = aws_iam_role.this[each.value.role].name
  policy_arn = each.value.arn
}
