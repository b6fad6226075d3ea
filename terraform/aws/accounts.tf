# A role for each kind of machine, with what it needs and no more; none has keys, links are signed with the role's own
# temporary credentials.
locals {
  secret_names = concat(["broker", "redis", "tokens"], var.world_hosts > 0 ? ["agent"] : [])
  # Each secret has one writer: the operator, or for the key of a world's agent the world.
  secret_readers = {
    gateway    = ["broker", "redis", "tokens"]
    dispatcher = ["broker", "redis", "tokens"]
    world      = ["broker", "redis", "tokens", "agent"]
  }
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "machine" {
  for_each = local.roles

  statement {
    sid       = "Objects"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    resources = ["${aws_s3_bucket.this.arn}/*"]
  }
  statement {
    sid       = "Names"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.this.arn]
  }
  statement {
    sid       = "Secrets"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [for name in local.secret_readers[each.key] : aws_secretsmanager_secret.this[name].arn]
  }
  dynamic "statement" {
    for_each = each.key == "world" ? [1] : []
    content {
      sid       = "AgentKey"
      actions   = ["secretsmanager:PutSecretValue"]
      resources = [aws_secretsmanager_secret.this["agent"].arn]
    }
  }
  dynamic "statement" {
    for_each = each.key == "gateway" ? [1] : []
    content {
      sid       = "Depth"
      actions   = ["cloudwatch:PutMetricData"]
      resources = ["*"]
      condition {
        test     = "StringEquals"
        variable = "cloudwatch:namespace"
        values   = ["Sundog"]
      }
    }
  }
  # These two kinds of calls know no narrower resource.
  dynamic "statement" {
    for_each = each.key == "world" ? [1] : []
    content {
      sid       = "Peers"
      actions   = ["ec2:DescribeInstances"]
      resources = ["*"]
    }
  }
}

resource "aws_iam_role" "this" {
  for_each           = local.roles
  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_iam_role_policy" "this" {
  for_each = local.roles
  name     = "sundog"
  role     = aws_iam_role.this[each.key].id
  policy   = data.aws_iam_policy_document.machine[each.key].json
}

# Operators' shells by Session Manager instead of SSH, and images of a private registry.
resource "aws_iam_role_policy_attachment" "managed" {
  for_each = { for pair in setproduct(local.roles, ["AmazonSSMManagedInstanceCore", "AmazonEC2ContainerRegistryReadOnly"]) :
  "${pair[0]}-${pair[1]}" => { role = pair[0], policy = pair[1] } }
  role       = aws_iam_role.this[each.value.role].name
  policy_arn = "arn:aws:iam::aws:policy/${each.value.policy}"
}

resource "aws_iam_instance_profile" "this" {
  for_each = local.roles
  name     = "${var.name}-${each.key}"
  role     = aws_iam_role.this[each.key].name
}

resource "aws_secretsmanager_secret" "this" {
  for_each                = toset(local.secret_names)
  name                    = "${var.name}-${each.key}"
  description             = "Sundog: ${each.key}"
  recovery_window_in_days = var.protect ? 7 : 0
}
