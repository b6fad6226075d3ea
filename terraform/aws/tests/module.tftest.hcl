# The module's own logic: what it refuses, counts, names and closes.
variables {
  image           = "registry.example/sundog:1.0.0"
  domain          = "sundog.example.org"
  certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/0a1b"
}

run "small" {
  assert {
    condition     = aws_launch_template.this["dispatcher"].instance_type == "c7i.xlarge" && aws_mq_broker.this.deployment_mode == "SINGLE_INSTANCE"
    error_message = "the size decides the machines"
  }
  assert {
    condition     = startswith(aws_s3_bucket.this.bucket, "sundog-") && endswith(aws_s3_bucket.this.bucket, "-eu-west-1") && !aws_s3_bucket.this.force_destroy
    error_message = "the bucket is named after deployment, account and region, and outlives the rest"
  }
  assert {
    condition     = alltrue([for block in aws_s3_bucket_public_access_block.this : block.restrict_public_buckets && block.block_public_policy])
    error_message = "no bucket is public"
  }
  assert {
    condition     = one(aws_s3_bucket_cors_configuration.this.cors_rule).allowed_origins == toset(["https://sundog.example.org"])
    error_message = "only the page's own origin is let in"
  }
  assert {
    condition     = { for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.id => one(rule.expiration).days if length(rule.expiration) > 0 } == { jobs = 30, open = 30, owners = 30, uploads = 2 }
    error_message = "uploads go after two days, jobs when the variable says"
  }
  assert {
    condition     = strcontains(output.token, "sundog token add") && strcontains(output.token, "sundog-tokens")
    error_message = "it is said how a user gets a token"
  }
  assert {
    condition     = length(aws_autoscaling_group.this) == 2 && length(aws_efs_file_system.shared) == 0
    error_message = "without a world there is neither its group nor its shared files"
  }
  assert {
    condition     = [for rule in values(aws_vpc_security_group_ingress_rule.flow) : rule if rule.cidr_ipv4 != null] == [] && keys(aws_vpc_security_group_ingress_rule.entrance) == ["0.0.0.0/0"]
    error_message = "only the entrance is reached from outside"
  }
  assert {
    condition     = alltrue([for template in aws_launch_template.this : template.metadata_options[0].http_tokens == "required"])
    error_message = "the metadata answer to sessions alone"
  }
  assert {
    condition     = length(jsondecode(data.aws_iam_policy_document.machine["dispatcher"].json).Statement) == 3 && length(jsondecode(data.aws_iam_policy_document.machine["gateway"].json).Statement) == 4
    error_message = "a dispatcher reads objects and secrets, a gateway tells the queue's depth besides"
  }
  assert {
    condition     = length(local.cloud_init["dispatcher"]) > 0 && length(base64gzip(local.cloud_init["dispatcher"])) < 16384
    error_message = "user data fit into the 16 KiB that there are"
  }
  assert {
    condition     = yamldecode(local.cloud_init["dispatcher"]).write_files[1].content == file("../boot/boot") && contains(yamldecode(local.cloud_init["dispatcher"]).packages, "docker")
    error_message = "a machine gets the boot script as it is, and what it needs"
  }
  assert {
    condition     = strcontains(data.aws_iam_policy_document.bucket["logs"].json, "s3:GetBucketAcl") && !strcontains(data.aws_iam_policy_document.bucket["objects"].json, "delivery.logs")
    error_message = "the network's logs can be delivered, into their own bucket"
  }
  assert {
    condition     = alltrue([for group in aws_autoscaling_group.this : group.instance_refresh[0].preferences[0].max_healthy_percentage == 200])
    error_message = "a new machine works before the old one goes"
  }
}

run "large_with_a_world" {
  variables {
    size        = "large"
    world_hosts = 4
    spot        = false
    protect     = false
    tags        = { team = "imaging" }
  }
  assert {
    condition     = aws_autoscaling_group.this["world"].min_size == 4 && aws_autoscaling_group.this["world"].max_size == 4
    error_message = "a world has its number of machines"
  }
  assert {
    condition     = local.settings["world"].SUNDOG_RANKS == 64 && local.settings["dispatcher"].SUNDOG_RANKS == 16
    error_message = "a world has the ranks of all its machines"
  }
  assert {
    condition     = strcontains(data.aws_iam_policy_document.machine["world"].json, "PutSecretValue") && !strcontains(data.aws_iam_policy_document.machine["dispatcher"].json, "PutSecretValue")
    error_message = "only the world writes a secret, the key of its agent"
  }
  assert {
    condition     = aws_elasticache_replication_group.this.num_cache_clusters == 2 && length(aws_mq_broker.this.subnet_ids) == 3
    error_message = "a large deployment outlives a zone"
  }
  assert {
    condition     = aws_autoscaling_group.this["dispatcher"].mixed_instances_policy[0].instances_distribution[0].on_demand_percentage_above_base_capacity == 100
    error_message = "without spot all machines stay"
  }
  assert {
    condition     = jsonencode(local.tags) == jsonencode({ app = "sundog", deployment = "sundog", managed-by = "terraform", team = "imaging" })
    error_message = "everything is tagged"
  }
}

run "refuses_a_size_that_there_is_not" {
  command = plan
  variables {
    size = "huge"
  }
  expect_failures = [var.size]
}

run "refuses_images_that_change" {
  command = plan
  variables {
    image = "registry.example/sundog"
  }
  expect_failures = [var.image]
}

run "refuses_min_over_max" {
  command = plan
  variables {
    dispatchers = { min = 3, max = 2 }
  }
  expect_failures = [var.dispatchers]
}

run "refuses_a_world_of_one" {
  command = plan
  variables {
    world_hosts = 1
  }
  expect_failures = [var.world_hosts]
}

run "refuses_a_zone_as_region_and_other_words" {
  command = plan
  variables {
    region          = "eu-west-1a"
    gateway_cidrs   = []
    retention_days  = 0.5
    domain          = "localhost"
    certificate_arn = "none"
    cidr            = "10.0.0.0/24"
    name            = "two--hyphens"
  }
  expect_failures = [var.name, var.region, var.gateway_cidrs, var.retention_days, var.domain, var.certificate_arn, var.cidr]
}
