data "google_compute_image" "this" {
  family  = "cos-stable"
  project = "cos-cloud"
}

data "google_compute_zones" "this" {
  region = var.region
}

locals {
  metadata = {
    enable-oslogin         = "TRUE"
    block-project-ssh-keys = "TRUE"
    # Logs of machines that are gone are in the project's logs.
    google-logging-enabled = "true"
  }

  # What a machine is told; scripts in terraform/boot do the rest. None of it is secret.
  settings = { for role in ["gateway", "dispatcher", "world", "broker"] : role => {
    SUNDOG_ROLE        = role
    SUNDOG_CLOUD       = "gcp"
    SUNDOG_PREFIX      = var.name
    SUNDOG_IMAGE       = role == "broker" ? var.broker_image : var.image
    SUNDOG_STORE       = "gs://${google_storage_bucket.this.name}"
    SUNDOG_PUBLIC_URL  = "https://${var.domain}/"
    SUNDOG_BROKER_HOST = google_compute_address.broker.address
    SUNDOG_RANKS       = role == "world" ? local.size.cores * var.world_hosts : local.size.cores
    SUNDOG_CORES       = local.size.cores
    # A machine that is to go has 90 seconds, one that is taken away 30.
    SUNDOG_DRAIN        = var.spot && role == "dispatcher" ? 15 : 60
    SUNDOG_WORLD_HOSTS  = var.world_hosts
    SUNDOG_GROUP        = "${var.name}-${role}"
    SUNDOG_SHARED       = var.world_hosts > 0 ? "${google_filestore_instance.shared[0].networks[0].ip_addresses[0]}:/shared" : ""
    SUNDOG_WORLD_SUBNET = google_compute_subnetwork.this.ip_cidr_range
  } }
  cloud_init = { for role, settings in local.settings : role => templatefile("${path.module}/../boot/cloud-init.yaml.tftpl", {
    settings = settings
    scripts = {
      boot  = file("${path.module}/../boot/boot")
      cloud = file("${path.module}/../boot/cloud-gcp")
    }
  }) }
}

resource "google_compute_instance_template" "this" {
  for_each     = toset(local.works)
  name_prefix  = "${var.name}-${each.key}-"
  machine_type = each.key == "gateway" ? local.size.gateway : local.size.dispatcher
  region       = var.region
  tags         = ["${var.name}-${each.key}"]
  labels       = { role = each.key }

  disk {
    source_image = data.google_compute_image.this.self_link
    auto_delete  = true
    boot         = true
    disk_type    = "pd-balanced"
    disk_size_gb = each.key == "gateway" ? 20 : 100
  }
  network_interface {
    subnetwork = google_compute_subnetwork.this.id
  }
  scheduling {
    preemptible                 = var.spot && each.key == "dispatcher"
    automatic_restart           = !(var.spot && each.key == "dispatcher")
    provisioning_model          = var.spot && each.key == "dispatcher" ? "SPOT" : "STANDARD"
    instance_termination_action = var.spot && each.key == "dispatcher" ? "DELETE" : null
  }
  service_account {
    email  = google_service_account.this[each.key].email
    scopes = ["cloud-platform"]
  }
  shielded_instance_config {
    enable_secure_boot          = true
    enable_vtpm                 = true
    enable_integrity_monitoring = true
  }
  metadata = merge(local.metadata, { user-data = local.cloud_init[each.key] })

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_health_check" "this" {
  for_each            = { gateway = 8080, dispatcher = 9464 }
  name                = "${var.name}-${each.key}"
  check_interval_sec  = 10
  timeout_sec         = 5
  healthy_threshold   = 2
  unhealthy_threshold = 6
  http_health_check {
    port = each.value
    # A broker that is away is no reason to make machines anew; the load balancer asks /readyz.
    request_path = "/healthz"
  }
}

resource "google_compute_region_instance_group_manager" "this" {
  for_each                  = toset(local.works)
  name                      = "${var.name}-${each.key}"
  base_instance_name        = "${var.name}-${each.key}"
  region                    = var.region
  distribution_policy_zones = each.key == "world" ? [local.zone] : slice(data.google_compute_zones.this.names, 0, min(3, length(data.google_compute_zones.this.names)))
  # The autoscaler sets the number of dispatchers.
  target_size = each.key == "gateway" ? 1 : each.key == "world" ? var.world_hosts : null

  version {
    instance_template = google_compute_instance_template.this[each.key].self_link_unique
  }
  named_port {
    name = "http"
    port = 8080
  }
  dynamic "auto_healing_policies" {
    for_each = each.key == "world" ? [] : [each.key]
    content {
      health_check      = google_compute_health_check.this[each.key].id
      initial_delay_sec = 300
    }
  }
  update_policy {
    type                  = each.key == "world" ? "OPPORTUNISTIC" : "PROACTIVE"
    minimal_action        = "REPLACE"
    max_surge_fixed       = each.key == "world" ? 0 : 3
    max_unavailable_fixed = each.key == "world" ? 1 : 0
  }
}

# Without fixed numbers: as many dispatchers as the waiting tasks are worth.
resource "google_compute_region_autoscaler" "dispatchers" {
  name   = "${var.name}-dispatcher"
  region = var.region
  target = google_compute_region_instance_group_manager.this["dispatcher"].id

  autoscaling_policy {
    min_replicas    = var.dispatchers.min
    max_replicas    = var.dispatchers.max
    cooldown_period = 90

    metric {
      name                       = "custom.googleapis.com/sundog/waiting_tasks"
      filter                     = "resource.type = \"global\" AND metric.labels.deployment = \"${var.name}\""
      single_instance_assignment = var.tasks_per_dispatcher
    }
    scale_in_control {
      time_window_sec = 600
      max_scaled_in_replicas {
        fixed = 2
      }
    }
  }
}

# What the ranks of one world share: inputs that are fetched, outputs until they are stored.
resource "google_filestore_instance" "shared" {
  count    = var.world_hosts > 0 ? 1 : 0
  name     = "${var.name}-shared"
  location = local.zone
  tier     = "BASIC_HDD"
  file_shares {
    name        = "shared"
    capacity_gb = 1024
  }
  networks {
    network = google_compute_network.this.name
    modes   = ["MODE_IPV4"]
  }
}
