output "address" {
  description = "Where the gateway is, once the domain leads to `ip`."
  value       = "https://${var.domain}/"
}

output "ip" {
  description = "The address that the domain's A record must have."
  value       = google_compute_global_address.gateway.address
}

output "bucket" {
  description = "The store, as SUNDOG_STORE takes it."
  value       = "gs://${google_storage_bucket.this.name}"
}

output "token" {
  description = "How a user gets a token: the hash goes to the secret manager, the token to the user."
  value       = <<-EOT
    gcloud secrets versions access latest --project ${var.project} --secret ${google_secret_manager_secret.this["tokens"].secret_id} > tokens.toml || true
    sundog token add USER --file tokens.toml
    gcloud secrets versions add ${google_secret_manager_secret.this["tokens"].secret_id} --project ${var.project} --data-file tokens.toml && rm tokens.toml
  EOT
}
