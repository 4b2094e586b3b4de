# Three agents with etcd on OpenStack, and a bucket of its object store.

terraform {
  required_version = ">= 1.9"
  required_providers {
    openstack = {
      source  = "terraform-provider-openstack/openstack"
      version = ">= 3.0"
    }
  }
}

provider "openstack" {} # of OS_CLOUD, or of the other variables of the OpenStack client

variable "zones" {
  description = "Three availability zones; one that is named three times does as well."
  type        = list(string)
  default     = ["nova", "nova", "nova"]
}

variable "flavor" {
  description = "Flavor of the instances."
  type        = string
}

variable "bastion_flavor" {
  description = "Flavor of the bastion."
  type        = string
}

variable "external_network" {
  description = "Name of the external network."
  type        = string
}

variable "s3_endpoint" {
  description = "URL of the cloud's S3."
  type        = string
}

variable "bucket" {
  description = "Name of the bucket to make."
  type        = string
}

variable "access_key_file" {
  description = "File with the access key that 'openstack ec2 credentials create' made."
  type        = string
}

variable "secret_key_file" {
  description = "File with the secret key of it."
  type        = string
}

variable "ssh_cidrs" {
  description = "Addresses from which SSH reaches the bastion."
  type        = list(string)
}

variable "ssh_public_key_file" {
  description = "The SSH key that may log in."
  type        = string
  default     = "~/.ssh/id_ed25519.pub"
}

variable "private_key_file" {
  description = "Its private part; without it the SSH agent is asked."
  type        = string
  default     = null
}

variable "varve_package" {
  description = "Path of Varve's deb."
  type        = string
}

variable "varve_binary" {
  description = "The varve program on this machine."
  type        = string
  default     = "varve"
}

variable "etcd_binary" {
  description = "Path of etcd's server program, or of its archive."
  type        = string
}

variable "force_destroy" {
  description = "Whether destroy deletes records as well."
  type        = bool
  default     = false
}

data "openstack_networking_network_v2" "external" {
  name = var.external_network
}

module "varve" {
  source = "../../modules/openstack"

  hosts = {
    a = { zone = var.zones[0], broker_id = 1, etcd = true }
    b = { zone = var.zones[1], broker_id = 2, etcd = true }
    c = { zone = var.zones[2], broker_id = 3, etcd = true }
  }
  flavor              = var.flavor
  bastion_flavor      = var.bastion_flavor
  external_network_id = data.openstack_networking_network_v2.external.id
  floating_ip_pool    = var.external_network
  ssh_cidrs           = var.ssh_cidrs
  ssh_public_key      = trimspace(file(pathexpand(var.ssh_public_key_file)))
  private_key_file    = var.private_key_file
  store = {
    bucket          = var.bucket
    endpoint        = var.s3_endpoint
    access_key_file = var.access_key_file
    secret_key_file = var.secret_key_file
  }
  varve_package = { path = var.varve_package }
  varve_binary  = var.varve_binary
  etcd_binary   = { path = var.etcd_binary }
  settings      = { "memory" = "60%" } # etcd runs beside the agents
  topics        = { events = { partitions = 12 } }
  secrets_dir   = "secrets"
  force_destroy = var.force_destroy
}

output "bootstrap_servers" {
  description = "Where clients in the network connect."
  value       = module.varve.bootstrap_servers
}

output "bastion" {
  description = "Where SSH connects, to go on to the hosts."
  value       = module.varve.bastion
}

output "client_properties_file" {
  description = "For Kafka's tools: --command-config."
  value       = module.varve.client_properties_file
}
