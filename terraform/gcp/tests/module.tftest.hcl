# The module's own logic: what it refuses, counts, names and closes.
variables {
  project = "images-prod"
  image   = "registry.example/sundog:1.0.0"
  domain  = "sundog.example.org"
}

run "small" {
  assert {
    condition     = google_compute_instance_template.this["dispatcher"].machine_type == "e2-standard-4"
    error_message = "the size decides the machines"
  }
  assert {
    condition     = google_storage_bucket.this.name == "images-prod-sundog" && output.bucket == "gs://images-prod-sundog"
    error_message = "the bucket is named after project and deployment"
  }
  assert {
    condition     = google_storage_bucket.this.public_access_prevention == "enforced" && !google_storage_bucket.this.force_destroy
    error_message = "the bucket is private and outlives the rest"
  }
  assert {
    condition     = google_storage_bucket.this.cors[0].origin == tolist(["https://sundog.example.org"])
    error_message = "only the page's own origin is let in"
  }
  assert {
    condition     = [for rule in google_storage_bucket.this.lifecycle_rule : one(rule.condition).age if length(coalesce(one(rule.condition).matches_prefix, [])) > 0] == [2, 30]
    error_message = "uploads go after two days, jobs when the variable says"
  }
  assert {
    condition     = google_service_account_iam_member.sign.role == "roles/iam.serviceAccountTokenCreator" && google_service_account_iam_member.sign.service_account_id == google_service_account.this["gateway"].name
    error_message = "the gateway signs as itself, without a key"
  }
  assert {
    condition     = strcontains(output.token, "sundog token add") && strcontains(output.token, "sundog-tokens")
    error_message = "it is said how a user gets a token"
  }
  assert {
    condition     = length(google_compute_region_instance_group_manager.this) == 2 && length(google_filestore_instance.shared) == 0
    error_message = "without a world there is neither its group nor its shared files"
  }
  assert {
    condition     = alltrue([for template in google_compute_instance_template.this : length(template.network_interface[0].access_config) == 0])
    error_message = "no machine has a public address"
  }
  assert {
    condition     = output.address == "https://sundog.example.org/"
    error_message = "the address is the domain's"
  }
  assert {
    condition     = alltrue([for role in ["gateway", "dispatcher"] : !can(google_secret_manager_secret_iam_member.write["${role}-tokens"])])
    error_message = "no machine writes the users' tokens"
  }
  assert {
    condition     = google_compute_region_autoscaler.dispatchers.autoscaling_policy[0].max_replicas == 4
    error_message = "the autoscaler follows the variable"
  }
  assert {
    condition     = google_compute_instance_template.this["dispatcher"].scheduling[0].provisioning_model == "SPOT" && google_compute_instance_template.this["gateway"].scheduling[0].provisioning_model == "STANDARD"
    error_message = "only dispatchers may be taken away"
  }
  assert {
    condition     = strcontains(local.cloud_init["dispatcher"], "SUNDOG_RANKS=4\n") && yamldecode(local.cloud_init["dispatcher"]).write_files[1].content == file("../boot/boot")
    error_message = "a machine is told its ranks and gets the boot script as it is"
  }
  assert {
    condition     = local.settings["dispatcher"].SUNDOG_DRAIN == 15 && local.settings["gateway"].SUNDOG_DRAIN == 60
    error_message = "one that may be taken away within 30 seconds hands its work back before"
  }
  assert {
    condition     = alltrue([for role, template in google_compute_instance_template.this : template.labels.role == role]) && google_compute_instance_template.this["dispatcher"].metadata["google-logging-enabled"] == "true"
    error_message = "machines are found by their role, and their logs outlive them"
  }
  assert {
    condition     = keys(google_project_iam_member.images) == ["broker", "dispatcher", "gateway"]
    error_message = "every machine may get its image from the project's registry"
  }
}

run "large_with_a_world" {
  variables {
    size        = "large"
    world_hosts = 4
    spot        = false
    protect     = false
    labels      = { team = "imaging" }
  }
  assert {
    condition     = google_compute_region_instance_group_manager.this["world"].target_size == 4 && length(google_filestore_instance.shared) == 1
    error_message = "a world of four machines shares its files"
  }
  assert {
    condition     = local.settings["world"].SUNDOG_RANKS == 64 && local.settings["dispatcher"].SUNDOG_RANKS == 16
    error_message = "a world has the ranks of all its machines"
  }
  assert {
    condition     = can(google_secret_manager_secret_iam_member.write["world-agent"]) && !can(google_secret_manager_secret_iam_member.read["dispatcher-agent"])
    error_message = "only the world has the key of its agent"
  }
  assert {
    condition     = google_redis_instance.this.tier == "STANDARD_HA" && google_storage_bucket.this.force_destroy
    error_message = "a large deployment has a replica; protection can be given up"
  }
  assert {
    condition     = jsonencode(local.labels) == jsonencode({ app = "sundog", deployment = "sundog", managed-by = "terraform", team = "imaging" })
    error_message = "everything is labelled"
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
    image = "registry.example/sundog:latest"
  }
  expect_failures = [var.image]
}

run "refuses_min_over_max_and_none" {
  command = plan
  variables {
    dispatchers = { min = 3, max = 2 }
  }
  expect_failures = [var.dispatchers]
}

run "refuses_no_dispatcher" {
  command = plan
  variables {
    dispatchers = { min = 0, max = 2 }
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

run "refuses_names_of_which_the_cloud_would_make_none" {
  command = plan
  variables {
    name         = "a-name-of-20-letters"
    broker_image = "rabbitmq"
  }
  expect_failures = [var.name, var.broker_image]
}

run "the_longest_name" {
  variables {
    name        = "a-name-of-19-letter"
    world_hosts = 2
  }
  assert {
    condition     = alltrue([for account in google_service_account.this : length(account.account_id) <= 30])
    error_message = "names of accounts have 30 letters at most"
  }
}

run "refuses_a_zone_as_region_and_other_words" {
  command = plan
  variables {
    region         = "europe-west1-b"
    gateway_cidrs  = ["everybody"]
    retention_days = 0
    domain         = "localhost"
    name           = "S"
  }
  expect_failures = [var.region, var.gateway_cidrs, var.retention_days, var.domain, var.name]
}
