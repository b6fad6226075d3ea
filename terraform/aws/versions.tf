# Sundog on AWS: dispatchers in an Auto Scaling group, gateway and notifier behind a load balancer, a bucket,
# ElastiCache, Amazon MQ. docs/deploy.md says how it is used.
terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.20"
    }
    random = {
      source  = "hashicorp/random"
      version = "~> 3.6"
    }
  }
}

provider "aws" {
  region = var.region
  default_tags {
    tags = local.tags
  }
}

locals {
  tags = merge(var.tags, { app = "sundog", deployment = var.name, managed-by = "terraform" })

  # Machines of each size: dispatcher, gateway, broker and how many, Redis and how many.
  sizes = {
    small  = { dispatcher = "c7i.xlarge", cores = 4, gateway = "t3.small", broker = "mq.m7g.medium", mode = "SINGLE_INSTANCE", redis = "cache.t4g.small", replicas = 0 }
    medium = { dispatcher = "c7i.2xlarge", cores = 8, gateway = "t3.medium", broker = "mq.m7g.large", mode = "CLUSTER_MULTI_AZ", redis = "cache.m7g.large", replicas = 1 }
    large  = { dispatcher = "c7i.4xlarge", cores = 16, gateway = "t3.large", broker = "mq.m7g.xlarge", mode = "CLUSTER_MULTI_AZ", redis = "cache.m7g.xlarge", replicas = 1 }
  }
  size  = local.sizes[var.size]
  zones = slice(data.aws_availability_zones.this.names, 0, min(3, length(data.aws_availability_zones.this.names)))
}

data "aws_availability_zones" "this" {
  state = "available"
}

data "aws_caller_identity" "this" {}
