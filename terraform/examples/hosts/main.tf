# A cluster on hosts that you have: put yours into terraform.tfvars, as in terraform.tfvars.example.

terraform {
  required_version = ">= 1.9"
}

module "cluster" {
  source = "../../modules/cluster"

  hosts         = var.hosts
  varve_package = var.varve_package
  varve_binary  = var.varve_binary
  etcd_binary   = var.etcd_binary
  minio_binary  = var.minio_binary
  store         = var.store
  settings      = var.settings
  topics        = var.topics
  secrets_dir   = var.secrets_dir
  force_destroy = var.force_destroy

  health_timeout = var.health_timeout
}
