# Sundog on Google Cloud: dispatchers in a managed group, gateway and notifier behind a load balancer, a bucket,
# Memorystore, RabbitMQ on a machine of its own. docs/deploy.md says how it is used.
terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.30"
    }
  }
}

provider "google" {
  project        = var.project
  region         = var.region
  default_labels = local.labels
}

locals {
  labels = merge(var.labels, { app = "sundog", deployment = var.name, managed-by = "terraform" })
  zone   = "${var.region}-${var.zone}"

  # Machines of each size: dispatcher, gateway, broker, and Redis' gigabytes.
  sizes = {
    small  = { dispatcher = "e2-standard-4", cores = 4, gateway = "e2-small", broker = "e2-small", redis = 1, tier = "BASIC" }
    medium = { dispatcher = "n2-standard-8", cores = 8, gateway = "e2-medium", broker = "e2-standard-2", redis = 2, tier = "STANDARD_HA" }
    large  = { dispatcher = "n2-standard-16", cores = 16, gateway = "e2-standard-2", broker = "e2-standard-4", redis = 5, tier = "STANDARD_HA" }
  }
  size = local.sizes[var.size]
}
