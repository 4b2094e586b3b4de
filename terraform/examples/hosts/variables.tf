# The types and what they mean are those of modules/cluster.

variable "hosts" {
  description = "The machines, by name, and what each of them runs."
  type        = any
}

variable "varve_package" {
  description = "Varve's package: a path on this machine, or a URL and its SHA-256 sum."
  type        = any
}

variable "varve_binary" {
  description = "The varve program on this machine, which makes certificates."
  type        = string
  default     = "varve"
}

variable "etcd_binary" {
  description = "etcd's server program."
  type        = any
}

variable "minio_binary" {
  description = "MinIO's server program, if one of the hosts runs it."
  type        = any
  default     = null
}

variable "store" {
  description = "A bucket that exists already, if no host runs MinIO."
  type        = any
  default     = null
}

variable "settings" {
  description = "Settings of all agents."
  type        = map(string)
  default     = {}
}

variable "topics" {
  description = "Topics to create."
  type        = any
  default     = {}
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

variable "health_timeout" {
  description = "How long to wait for the cluster's health at each step."
  type        = string
  default     = "10m"
}
