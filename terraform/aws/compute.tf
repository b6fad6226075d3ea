data "aws_ssm_parameter" "image" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
}

locals {
  # What a machine is told; scripts in terraform/boot do the rest. None of it is secret.
  settings = { for role in local.roles : role => {
    SUNDOG_ROLE       = role
    SUNDOG_CLOUD      = "aws"
    SUNDOG_PREFIX     = var.name
    SUNDOG_IMAGE      = var.image
    SUNDOG_STORE      = "s3://${aws_s3_bucket.this.bucket}"
    SUNDOG_PUBLIC_URL = "https://${var.domain}/"
    SUNDOG_RANKS      = role == "world" ? local.size.cores * var.world_hosts : local.size.cores
    SUNDOG_CORES      = local.size.cores
    # A machine that is taken away is told two minutes before.
    SUNDOG_DRAIN        = 80
    SUNDOG_WORLD_HOSTS  = var.world_hosts
    SUNDOG_GROUP        = "${var.name}-${role}"
    SUNDOG_SHARED       = var.world_hosts > 0 ? "${aws_efs_mount_target.shared[0].ip_address}:/" : ""
    SUNDOG_WORLD_SUBNET = aws_subnet.private[local.zones[0]].cidr_block
  } }
  packages = "[docker, nfs-utils]"
  cloud_init = { for role, settings in local.settings : role => join("\n", [
    templatefile("${path.module}/../boot/cloud-init.yaml.tftpl", {
      settings = settings
      scripts = {
        boot  = file("${path.module}/../boot/boot")
        cloud = file("${path.module}/../boot/cloud-aws")
      }
    }),
    "packages: ${local.packages}",
    "",
  ]) }
}

resource "aws_launch_template" "this" {
  for_each               = local.roles
  name                   = "${var.name}-${each.key}"
  image_id               = data.aws_ssm_parameter.image.value
  instance_type          = each.key == "gateway" ? local.size.gateway : local.size.dispatcher
  update_default_version = true
  user_data              = base64gzip(local.cloud_init[each.key])

  iam_instance_profile {
    arn = aws_iam_instance_profile.this[each.key].arn
  }
  # Containers on the host's network reach the metadata in one hop.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  network_interfaces {
    associate_public_ip_address = false
    security_groups             = [aws_security_group.this[each.key].id]
  }
  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size           = each.key == "gateway" ? 20 : 100
      volume_type           = "gp3"
      encrypted             = true
      delete_on_termination = true
    }
  }
  monitoring {
    enabled = true
  }
  tag_specifications {
    resource_type = "instance"
    tags          = merge(local.tags, { Name = "${var.name}-${each.key}" })
  }
  tag_specifications {
    resource_type = "volume"
    tags          = merge(local.tags, { Name = "${var.name}-${each.key}" })
  }
}

resource "aws_autoscaling_group" "this" {
  for_each                  = local.roles
  name                      = "${var.name}-${each.key}"
  min_size                  = each.key == "dispatcher" ? var.dispatchers.min : each.key == "world" ? var.world_hosts : 1
  max_size                  = each.key == "dispatcher" ? var.dispatchers.max : each.key == "world" ? var.world_hosts : 2
  vpc_zone_identifier       = each.key == "world" ? [aws_subnet.private[local.zones[0]].id] : [for subnet in aws_subnet.private : subnet.id]
  health_check_type         = each.key == "gateway" ? "ELB" : "EC2"
  health_check_grace_period = 300
  target_group_arns         = each.key == "gateway" ? [aws_lb_target_group.gateway.arn] : []
  capacity_rebalance        = var.spot && each.key == "dispatcher"
  enabled_metrics           = ["GroupInServiceInstances", "GroupDesiredCapacity"]

  mixed_instances_policy {
    instances_distribution {
      on_demand_base_capacity                  = 0
      on_demand_percentage_above_base_capacity = var.spot && each.key == "dispatcher" ? 0 : 100
      spot_allocation_strategy                 = "price-capacity-optimized"
    }
    launch_template {
      launch_template_specification {
        launch_template_id = aws_launch_template.this[each.key].id
        version            = aws_launch_template.this[each.key].latest_version
      }
    }
  }
  instance_refresh {
    strategy = "Rolling"
    preferences {
      # The new one works before the old one goes.
      min_healthy_percentage = each.key == "world" ? 0 : 100
      max_healthy_percentage = each.key == "world" ? 100 : 200
    }
  }
  dynamic "tag" {
    for_each = merge(local.tags, { Name = "${var.name}-${each.key}" })
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }
}

# As many dispatchers as the waiting tasks are worth; the gateway tells how many wait.
resource "aws_autoscaling_policy" "dispatchers" {
  name                      = "${var.name}-waiting-tasks"
  autoscaling_group_name    = aws_autoscaling_group.this["dispatcher"].name
  policy_type               = "TargetTrackingScaling"
  estimated_instance_warmup = 120

  target_tracking_configuration {
    target_value = var.tasks_per_dispatcher
    customized_metric_specification {
      metrics {
        id          = "waiting"
        return_data = false
        metric_stat {
          stat = "Average"
          metric {
            namespace   = "Sundog"
            metric_name = "WaitingTasks"
            dimensions {
              name  = "Deployment"
              value = var.name
            }
          }
        }
      }
      metrics {
        id          = "running"
        return_data = false
        metric_stat {
          stat = "Average"
          metric {
            namespace   = "AWS/AutoScaling"
            metric_name = "GroupInServiceInstances"
            dimensions {
              name  = "AutoScalingGroupName"
              value = aws_autoscaling_group.this["dispatcher"].name
            }
          }
        }
      }
      metrics {
        id          = "each"
        expression  = "waiting / running"
        label       = "waiting tasks for each dispatcher"
        return_data = true
      }
    }
  }
}
