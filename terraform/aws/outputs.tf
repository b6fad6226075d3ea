output "address" {
  description = "Where the gateway is, once the domain leads to `alias`."
  value       = "https://${var.domain}/"
}

output "alias" {
  description = "The name that the domain's CNAME or alias record must lead to."
  value       = aws_lb.this.dns_name
}

output "bucket" {
  description = "The store, as SUNDOG_STORE takes it."
  value       = "s3://${aws_s3_bucket.this.bucket}"
}

output "token" {
  description = "How a user gets a token: the hash goes to the secret manager, the token to the user."
  value       = <<-EOT
    aws secretsmanager get-secret-value --region ${var.region} --secret-id ${aws_secretsmanager_secret.this["tokens"].name} --query SecretString --output text > tokens.toml || true
    sundog token add USER --file tokens.toml
    aws secretsmanager put-secret-value --region ${var.region} --secret-id ${aws_secretsmanager_secret.this["tokens"].name} --secret-string file://tokens.toml && rm tokens.toml
  EOT
}
