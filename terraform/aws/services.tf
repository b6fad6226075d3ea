# Amazon MQ and ElastiCache take their passwords from whoever makes them, so that the state holds these two; it must be
# kept where only operators read (docs/deploy.md). Machines read them from the secret manager alone.
resource "random_password" "broker" {
  length  = 32
  special = false
}

resource "random_password" "redis" {
  length  = 32
  special = false
}

resource "aws_mq_configuration" "this" {
  name           = var.name
  engine_type    = "RabbitMQ"
  engine_version = "3.13"
  # A task may be in hand for a day.
  data = "consumer_timeout = 86400000\n"
}

resource "aws_mq_broker" "this" {
  broker_name                = var.name
  engine_type                = "RabbitMQ"
  engine_version             = "3.13"
  host_instance_type         = local.size.broker
  deployment_mode            = local.size.mode
  subnet_ids                 = local.size.mode == "SINGLE_INSTANCE" ? [aws_subnet.private[local.zones[0]].id] : [for zone in local.zones : aws_subnet.private[zone].id]
  security_groups            = [aws_security_group.this["broker"].id]
  publicly_accessible        = false
  auto_minor_version_upgrade = true

  configuration {
    id       = aws_mq_configuration.this.id
    revision = aws_mq_configuration.this.latest_revision
  }
  user {
    username = "sundog"
    password = random_password.broker.result
  }
  logs {
    general = true
  }
  maintenance_window_start_time {
    day_of_week = "SUNDAY"
    time_of_day = "03:00"
    time_zone   = "UTC"
  }
}

resource "aws_elasticache_subnet_group" "this" {
  name       = var.name
  subnet_ids = [for subnet in aws_subnet.private : subnet.id]
}

# Redis carries events; it may forget all of them.
resource "aws_elasticache_replication_group" "this" {
  replication_group_id       = var.name
  description                = "Sundog: events"
  engine                     = "redis"
  engine_version             = "7.1"
  node_type                  = local.size.redis
  num_cache_clusters         = 1 + local.size.replicas
  automatic_failover_enabled = local.size.replicas > 0
  multi_az_enabled           = local.size.replicas > 0
  port                       = 6379
  subnet_group_name          = aws_elasticache_subnet_group.this.name
  security_group_ids         = [aws_security_group.this["redis"].id]
  at_rest_encryption_enabled = true
  transit_encryption_enabled = true
  auth_token                 = random_password.redis.result
  auto_minor_version_upgrade = true
}

resource "aws_secretsmanager_secret_version" "broker" {
  secret_id     = aws_secretsmanager_secret.this["broker"].id
  secret_string = replace(aws_mq_broker.this.instances[0].endpoints[0], "amqps://", "amqps://sundog:${random_password.broker.result}@")
}

resource "aws_secretsmanager_secret_version" "redis" {
  secret_id     = aws_secretsmanager_secret.this["redis"].id
  secret_string = "rediss://:${random_password.redis.result}@${aws_elasticache_replication_group.this.primary_endpoint_address}:6379/0"
}

# What the ranks of one world share: inputs that are fetched, outputs until they are stored.
resource "aws_efs_file_system" "shared" {
  count           = var.world_hosts > 0 ? 1 : 0
  encrypted       = true
  throughput_mode = "elastic"
  tags            = { Name = "${var.name}-shared" }
}

resource "aws_efs_mount_target" "shared" {
  count           = var.world_hosts > 0 ? 1 : 0
  file_system_id  = aws_efs_file_system.shared[0].id
  subnet_id       = aws_subnet.private[local.zones[0]].id
  security_groups = [aws_security_group.this["shared"].id]
}
