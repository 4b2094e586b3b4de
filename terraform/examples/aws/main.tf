# Three agents with etcd in three zones of AWS, and a bucket of S3.

terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

provider "aws" {
  region = var.region
}

variable "region" {
  description = "The region."
  type        = string
  default     = "eu-central-1"
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

module "varve" {
  source = "../../modules/aws"

  region = var.region
  zones  = ["${var.region}a", "${var.region}b", "${var.region}c"]
  hosts = {
    a = { zone = "${var.region}a", broker_id = 1, etcd = true }
    b = { zone = "${var.region}b", broker_id = 2, etcd = true }
    c = { zone = "${var.region}c", broker_id = 3, etcd = true }
  }
  ssh_cidrs        = var.ssh_cidrs
  ssh_public_key   = trimspace(file(pathexpand(var.ssh_public_key_file)))
  private_key_file = var.private_key_file
  varve_package    = { path = var.varve_package }
  varve_binary     = var.varve_binary
  etcd_binary      = { path = var.etcd_binary }
  settings         = { "memory" = "60%" } # etcd runs beside the agents
  topics           = { events = { partitions = 12 } }
  secrets_dir      = "secrets"
  force_destroy    = var.force_destroy
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
