# The one way in: HTTPS with a certificate that the cloud keeps, from the networks that may.
resource "google_compute_global_address" "gateway" {
  name = "${var.name}-gateway"
}

resource "google_compute_managed_ssl_certificate" "gateway" {
  name = "${var.name}-gateway"
  managed {
    domains = [var.domain]
  }
}

resource "google_compute_ssl_policy" "gateway" {
  name            = "${var.name}-gateway"
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"
}

resource "google_compute_health_check" "ready" {
  name               = "${var.name}-ready"
  check_interval_sec = 5
  timeout_sec        = 5
  http_health_check {
    port         = 8080
    request_path = "/readyz"
  }
}

resource "google_compute_security_policy" "gateway" {
  name = "${var.name}-gateway"

  rule {
    action      = "allow"
    priority    = 1000
    description = "those who may reach the gateway"
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = var.gateway_cidrs
      }
    }
  }
  rule {
    action      = "deny(403)"
    priority    = 2147483647
    description = "all others"
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
  }
}

resource "google_compute_backend_service" "gateway" {
  name                  = "${var.name}-gateway"
  protocol              = "HTTP"
  port_name             = "http"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  # Streams of events stay open; a client comes back by itself from where it was.
  timeout_sec                     = 3600
  connection_draining_timeout_sec = 30
  health_checks                   = [google_compute_health_check.ready.id]
  security_policy                 = google_compute_security_policy.gateway.id

  backend {
    group           = google_compute_region_instance_group_manager.this["gateway"].instance_group
    balancing_mode  = "UTILIZATION"
    capacity_scaler = 1.0
  }
  log_config {
    enable      = true
    sample_rate = 1.0
  }
}

resource "google_compute_url_map" "gateway" {
  name            = "${var.name}-gateway"
  default_service = google_compute_backend_service.gateway.id
}

resource "google_compute_target_https_proxy" "gateway" {
  name             = "${var.name}-gateway"
  url_map          = google_compute_url_map.gateway.id
  ssl_certificates = [google_compute_managed_ssl_certificate.gateway.id]
  ssl_policy       = google_compute_ssl_policy.gateway.id
}

resource "google_compute_global_forwarding_rule" "gateway" {
  name                  = "${var.name}-gateway"
  target                = google_compute_target_https_proxy.gateway.id
  ip_address            = google_compute_global_address.gateway.id
  port_range            = "443"
  load_balancing_scheme = "EXTERNAL_MANAGED"
}
