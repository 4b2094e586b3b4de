output "bootstrap_servers" {
  description = "Where clients connect, for `bootstrap.servers`."
  value       = var.dns == null ? module.cluster.bootstrap_servers : "${local.bootstrap}:9092"
}

output "ca_file" {
  description = "The authority of the brokers' certificates, in PEM."
  value       = module.cluster.ca_file
}

output "profile_file" {
  description = "A profile of the first user, for the program's own commands: `VARVE_PROFILE`. It has the password."
  value       = module.cluster.profile_file
}

output "client_properties_file" {
  description = "The same for Kafka's tools (`--command-config`)."
  value       = module.cluster.client_properties_file
}

output "http_urls" {
  description = "The agents' HTTP, for Prometheus and operators."
  value       = module.cluster.http_urls
}

output "bastion" {
  description = "Where SSH connects, to go on to the hosts."
  value       = "${var.image_user}@${openstack_networking_floatingip_v2.bastion.address}"
}

output "network_id" {
  description = "The network, for clients in it."
  value       = openstack_networking_network_v2.this.id
}

output "subnet_id" {
  description = "The network's addresses."
  value       = openstack_networking_subnet_v2.this.id
}

output "router_id" {
  description = "The router, to connect networks of clients."
  value       = openstack_networking_router_v2.this.id
}
