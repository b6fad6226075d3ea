# Redis carries events; it may forget all of them. Its password is Memorystore's own: Terraform reads it back, so the
# state holds it and must be kept where only operators read (docs/deploy.md).
resource "google_redis_instance" "this" {
  name                    = var.name
  tier                    = local.size.tier
  memory_size_gb          = local.size.redis
  region                  = var.region
  location_id             = local.zone
  redis_version           = "REDIS_7_2"
  authorized_network      = google_compute_network.this.id
  auth_enabled            = true
  transit_encryption_mode = "DISABLED"
  redis_configs           = { maxmemory-policy = "allkeys-lru" }
}

resource "google_secret_manager_secret_version" "redis" {
  secret      = google_secret_manager_secret.this["redis"].id
  secret_data = "redis://:${google_redis_instance.this.auth_string}@${google_redis_instance.this.host}:${google_redis_instance.this.port}/0"
}

# The broker's address stays when its machine is made anew.
resource "google_compute_address" "broker" {
  name         = "${var.name}-broker"
  subnetwork   = google_compute_subnetwork.this.id
  address_type = "INTERNAL"
  region       = var.region
}

# Its queues outlive its machine.
resource "google_compute_disk" "broker" {
  name = "${var.name}-broker"
  zone = local.zone
  type = "pd-ssd"
  size = 20
}

resource "google_compute_instance" "broker" {
  name                      = "${var.name}-broker"
  machine_type              = local.size.broker
  zone                      = local.zone
  tags                      = ["${var.name}-broker"]
  allow_stopping_for_update = true

  boot_disk {
    initialize_params {
      image = data.google_compute_image.this.self_link
    }
  }
  attached_disk {
    source      = google_compute_disk.broker.id
    device_name = "data"
  }
  network_interface {
    subnetwork = google_compute_subnetwork.this.id
    network_ip = google_compute_address.broker.address
  }
  service_account {
    email  = google_service_account.this["broker"].email
    scopes = ["cloud-platform"]
  }
  shielded_instance_config {
    enable_secure_boot          = true
    enable_vtpm                 = true
    enable_integrity_monitoring = true
  }
  metadata = merge(local.metadata, { user-data = local.cloud_init["broker"] })
}
