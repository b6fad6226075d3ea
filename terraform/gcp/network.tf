# A network of its own. Machines have no public address; what they fetch goes through NAT, and nothing reaches them
# but each other, the load balancer, and operators through Identity-Aware Proxy.
resource "google_compute_network" "this" {
  name                    = var.name
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "this" {
  name                     = var.name
  network                  = google_compute_network.this.id
  region                   = var.region
  ip_cidr_range            = "10.42.0.0/20"
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.1
  }
}

resource "google_compute_router" "this" {
  name    = var.name
  network = google_compute_network.this.id
  region  = var.region
}

resource "google_compute_router_nat" "this" {
  name                               = var.name
  router                             = google_compute_router.this.name
  region                             = var.region
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"

  log_config {
    enable = true
    filter = "ERRORS_ONLY"
  }
}

locals {
  # Who reaches which ports of whom, by tags. The rest is refused, and said so below.
  flows = {
    broker = { ports = ["5672"], from = ["dispatcher", "gateway", "world"] }
    ssh    = { ports = ["1-65535"], from = ["world"] }
  }
}

resource "google_compute_firewall" "broker" {
  name        = "${var.name}-broker"
  network     = google_compute_network.this.name
  source_tags = [for tag in local.flows.broker.from : "${var.name}-${tag}"]
  target_tags = ["${var.name}-broker"]
  allow {
    protocol = "tcp"
    ports    = local.flows.broker.ports
  }
}

# Ranks choose their ports.
resource "google_compute_firewall" "world" {
  count       = var.world_hosts > 0 ? 1 : 0
  name        = "${var.name}-world"
  network     = google_compute_network.this.name
  source_tags = ["${var.name}-world"]
  target_tags = ["${var.name}-world"]
  allow {
    protocol = "tcp"
    ports    = local.flows.ssh.ports
  }
}

# The load balancer and its health checks come from these networks of Google's.
resource "google_compute_firewall" "gateway" {
  name          = "${var.name}-gateway"
  network       = google_compute_network.this.name
  source_ranges = ["130.211.0.0/22", "35.191.0.0/16"]
  target_tags   = ["${var.name}-gateway"]
  allow {
    protocol = "tcp"
    ports    = ["8080"]
  }
}

resource "google_compute_firewall" "health" {
  name          = "${var.name}-health"
  network       = google_compute_network.this.name
  source_ranges = ["130.211.0.0/22", "35.191.0.0/16"]
  target_tags   = ["${var.name}-dispatcher"]
  allow {
    protocol = "tcp"
    ports    = ["9464"]
  }
}

# Operators' SSH through Identity-Aware Proxy, whose network this is.
resource "google_compute_firewall" "operators" {
  name          = "${var.name}-operators"
  network       = google_compute_network.this.name
  source_ranges = ["35.235.240.0/20"]
  allow {
    protocol = "tcp"
    ports    = ["22"]
  }
}

resource "google_compute_firewall" "rest" {
  name          = "${var.name}-rest"
  network       = google_compute_network.this.name
  priority      = 65000
  source_ranges = ["0.0.0.0/0"]
  deny {
    protocol = "all"
  }
}
