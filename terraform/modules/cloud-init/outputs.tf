output "user_data" {
  description = "Each host's user data, in plain text."
  value       = local.user_data
  sensitive   = true
}

output "user_data_base64" {
  description = "The same compressed, in base64, as clouds with a limit take it: 16 KiB on AWS, 64 KiB on OpenStack."
  value       = { for name, text in local.user_data : name => base64gzip(text) }
  sensitive   = true
}

output "bootstrap_servers" {
  description = "Where clients connect, for `bootstrap.servers`, if hosts have `internal` or `advertised`."
  value       = join(",", [for h in local.agents : "${h.advertised}:${var.ports.kafka}" if h.advertised != ""])
}
