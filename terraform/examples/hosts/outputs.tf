output "bootstrap_servers" {
  description = "Where clients connect."
  value       = module.cluster.bootstrap_servers
}

output "ca_file" {
  description = "The authority of the brokers' certificates."
  value       = module.cluster.ca_file
}

output "profile_file" {
  description = "For the program's own commands: export VARVE_PROFILE with it."
  value       = module.cluster.profile_file
}

output "client_properties_file" {
  description = "For Kafka's tools: --command-config."
  value       = module.cluster.client_properties_file
}
