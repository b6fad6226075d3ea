# One account for each role, with what it needs and no more. None has a key: links are signed by the IAM service.
locals {
  roles = toset(var.world_hosts > 0 ? ["gateway", "dispatcher", "broker", "world"] : ["gateway", "dispatcher", "broker"])

  # Which secrets a role reads. Each secret has one writer (see `secret_writers`), or the operator.
  secret_readers = {
    gateway    = ["broker", "redis", "tokens"]
    dispatcher = ["broker", "redis", "tokens"]
    world      = ["broker", "redis", "tokens", "agent"]
    broker     = ["broker"]
  }
  # The broker draws its password, the first machine of a world the key of its agent; neither is ever in the state.
  secret_writers = {
    broker = ["broker"]
    world  = ["agent"]
  }
  works = [for role in ["gateway", "dispatcher", "world"] : role if contains(local.roles, role)]
}

resource "google_service_account" "this" {
  for_each     = local.roles
  account_id   = "${var.name}-${each.key}"
  display_name = "Sundog ${each.key}"
}

resource "google_project_iam_member" "logs" {
  for_each = local.roles
  project  = var.project
  role     = "roles/logging.logWriter"
  member   = google_service_account.this[each.key].member
}

# Images of a registry of the same project; one of another project must let these accounts in itself.
resource "google_project_iam_member" "images" {
  for_each = local.roles
  project  = var.project
  role     = "roles/artifactregistry.reader"
  member   = google_service_account.this[each.key].member
}

# The gateway tells the autoscaler how deep the queue is.
resource "google_project_iam_member" "metrics" {
  project = var.project
  role    = "roles/monitoring.metricWriter"
  member  = google_service_account.this["gateway"].member
}

resource "google_storage_bucket_iam_member" "objects" {
  for_each = toset(local.works)
  bucket   = google_storage_bucket.this.name
  role     = "roles/storage.objectUser"
  member   = google_service_account.this[each.key].member
}

# An account may sign as itself, without a key: links to uploads and results.
resource "google_service_account_iam_member" "sign" {
  service_account_id = google_service_account.this["gateway"].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = google_service_account.this["gateway"].member
}

# The machines of a world read who is in their group.
resource "google_project_iam_custom_role" "peers" {
  count       = var.world_hosts > 0 ? 1 : 0
  role_id     = "${replace(var.name, "-", "_")}_peers"
  title       = "Sundog: members of a world"
  permissions = ["compute.instances.list"]
}

resource "google_project_iam_member" "peers" {
  count   = var.world_hosts > 0 ? 1 : 0
  project = var.project
  role    = google_project_iam_custom_role.peers[0].id
  member  = google_service_account.this["world"].member
}

resource "google_secret_manager_secret" "this" {
  for_each  = toset(var.world_hosts > 0 ? ["broker", "redis", "tokens", "agent"] : ["broker", "redis", "tokens"])
  secret_id = "${var.name}-${each.key}"
  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_iam_member" "read" {
  for_each = { for pair in flatten([
    for role in local.roles : [for secret in local.secret_readers[role] : { role = role, secret = secret }]
  ]) : "${pair.role}-${pair.secret}" => pair }
  secret_id = google_secret_manager_secret.this[each.value.secret].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.this[each.value.role].member
}

resource "google_secret_manager_secret_iam_member" "write" {
  for_each = { for pair in flatten([
    for role in local.roles : [for secret in lookup(local.secret_writers, role, []) : { role = role, secret = secret }]
  ]) : "${pair.role}-${pair.secret}" => pair }
  secret_id = google_secret_manager_secret.this[each.value.secret].secret_id
  role      = "roles/secretmanager.secretVersionAdder"
  member    = google_service_account.this[each.value.role].member
}
