output "bootstrap_servers" {
  description = "Where clients connect, for `bootstrap.servers`: a name for all agents."
  value       = "${local.bootstrap}:9092"
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
  value       = "${var.image_user}@${aws_eip.bastion.public_ip}"
}

output "bucket" {
  description = "The bucket with the records."
  value       = aws_s3_bucket.this.id
}

output "vpc_id" {
  description = "The network, for peering and for clients in it."
  value       = aws_vpc.this.id
}

output "private_subnet_ids" {
  description = "The networks of the hosts, by zone."
  value       = { for zone, s in aws_subnet.private : zone => s.id }
}

output "private_route_table_id" {
  description = "The routes of the hosts, for peering."
  value       = aws_route_table.private.id
}

output "zone_id" {
  description = "The private zone of Route 53, to associate it with the networks of clients."
  value       = aws_route53_zone.this.zone_id
}
