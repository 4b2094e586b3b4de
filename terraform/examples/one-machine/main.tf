# All of it on one machine: an agent, etcd and MinIO. It serves while the machine does; more machines make more of it.

terraform {
  required_version = ">= 1.9"
}

variable "address" {
  description = "Where SSH and clients reach the machine."
  type        = string
}

variable "user" {
  description = "User of SSH: root, or one with sudo without a password."
  type        = string
  default     = "root"
}

variable "private_key_file" {
  description = "The SSH key; without it the SSH agent is asked."
  type        = string
  default     = null
}

variable "varve_package" {
  description = "Path of Varve's deb or rpm."
  type        = string
}

variable "varve_binary" {
  description = "The varve program on this machine."
  type        = string
  default     = "varve"
}

variable "etcd_binary" {
  description = "Path of etcd's server program."
  type        = string
}

variable "minio_binary" {
  description = "Path of MinIO's server program."
  type        = string
}

variable "secrets_dir" {
  description = "Where authorities, passwords and clients' files are kept."
  type        = string
  default     = "secrets"
}

variable "force_destroy" {
  description = "Whether destroy deletes records as well."
  type        = bool
  default     = false
}

module "cluster" {
  source = "../../modules/cluster"

  hosts = {
    varve = {
      address          = var.address
      user             = var.user
      private_key_file = var.private_key_file
      broker_id        = 1
      etcd             = true
      minio            = true
    }
  }
  varve_package = { path = var.varve_package }
  varve_binary  = var.varve_binary
  etcd_binary   = { path = var.etcd_binary }
  minio_binary  = { path = var.minio_binary }
  settings      = { "memory" = "40%" }
  topics        = { events = { partitions = 3 } }
  secrets_dir   = var.secrets_dir
  force_destroy = var.force_destroy
}

output "bootstrap_servers" {
  description = "Where clients connect."
  value       = module.cluster.bootstrap_servers
}

output "profile_file" {
  description = "For the program's own commands: export VARVE_PROFILE with it."
  value       = module.cluster.profile_file
}
