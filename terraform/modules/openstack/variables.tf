variable "name" {
  description = "Name of the cluster: the names of what is made begin with it."
  type        = string
  default     = "varve"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}$", var.name))
    error_message = "A name has lower case letters, digits and hyphens, and begins with a letter."
  }
}

variable "hosts" {
  description = <<-EOT
    The instances, by name. `broker_id` makes one an agent (a number of its own, which never changes), `etcd` an etcd server.

    - `zone`: availability zone of Nova. It is also the rack: copies of a record are spread over zones.
    - `flavor`: default: that of all.
    - `disk_gb`: size of an agent's disk. Default: that of all.
    - `settings`: settings of this agent alone, over `settings`.
  EOT
  type = map(object({
    zone      = string
    broker_id = optional(number)
    etcd      = optional(bool, false)
    flavor    = optional(string)
    disk_gb   = optional(number)
    settings  = optional(map(string), {})
  }))
}

variable "flavor" {
  description = "Flavor of the instances."
  type        = string
}

variable "image_id" {
  description = "Image of the instances. Default: the newest whose name is `image_name`. A newer image changes no instance that is there."
  type        = string
  default     = null
}

variable "image_name" {
  description = "Pattern of the image's name, if `image_id` isn't given."
  type        = string
  default     = "^[Dd]ebian[- ]13"
}

variable "image_user" {
  description = "The image's user, whom SSH logs in as."
  type        = string
  default     = "debian"
}

variable "disk_gb" {
  description = "Size of an agent's disk for its journals: a volume of Cinder."
  type        = number
  default     = 100
}

variable "etcd_disk_gb" {
  description = "Size of an etcd server's disk."
  type        = number
  default     = 20
}

variable "volume_type" {
  description = "Type of the volumes. Default: the cloud's."
  type        = string
  default     = null
}

variable "volume_zone" {
  description = "Availability zone of Cinder, if its zones aren't Nova's."
  type        = string
  default     = null
}

variable "subnet_cidr" {
  description = "Addresses of the network."
  type        = string
  default     = "10.20.0.0/24"
}

variable "dns_nameservers" {
  description = "Name servers of the network. Default: the cloud's."
  type        = list(string)
  default     = []
}

variable "external_network_id" {
  description = "The external network, which the router is connected to."
  type        = string
}

variable "floating_ip_pool" {
  description = "Name of the external network that the bastion's floating IP is of."
  type        = string
}

variable "dns" {
  description = "A zone of Designate for the hosts' names: `a.DOMAIN` for host a, and `bootstrap.DOMAIN` for all agents. Without it hosts are known by their addresses, which stay."
  type = object({
    zone_id = string
    domain  = string
  })
  default = null
}

variable "client_cidrs" {
  description = "Addresses of clients besides those of the network itself."
  type        = list(string)
  default     = []
}

variable "ssh_cidrs" {
  description = "Addresses from which SSH reaches the bastion: yours, and those of the machine that runs Terraform."
  type        = list(string)
}

variable "ssh_public_key" {
  description = "The SSH key that may log in, as a line of `authorized_keys`."
  type        = string
}

variable "private_key_file" {
  description = "The SSH key's private part on this machine; without it the SSH agent is asked."
  type        = string
  default     = null
}

variable "bastion_flavor" {
  description = "Flavor of the bastion; a small one does."
  type        = string
}

variable "store" {
  description = "The bucket, as in modules/cluster: `endpoint` is that of the cloud's S3, of Ceph or Swift, and the files have the keys that `openstack ec2 credentials create` makes."
  type = object({
    driver          = optional(string, "minio")
    bucket          = string
    endpoint        = string
    region          = optional(string)
    prefix          = optional(string)
    path_style      = optional(bool, true)
    access_key_file = string
    secret_key_file = string
    ca_file         = optional(string)
  })
}

variable "make_bucket" {
  description = "Whether to make the bucket, as a container of the object store."
  type        = bool
  default     = true
}

variable "varve_package" {
  description = "As in modules/cluster."
  type        = object({ path = optional(string), url = optional(string), sha256 = optional(string) })
}

variable "varve_binary" {
  description = "As in modules/cluster."
  type        = string
  default     = "varve"
}

variable "etcd_binary" {
  description = "As in modules/cluster."
  type        = object({ path = optional(string), url = optional(string), sha256 = optional(string) })
  default     = null
}

variable "etcd_endpoints" {
  description = "As in modules/cluster: an etcd that exists already, if no host has etcd."
  type        = list(string)
  default     = []
}

variable "etcd_tls" {
  description = "As in modules/cluster."
  type        = object({ ca_file = optional(string), cert_file = optional(string), key_file = optional(string) })
  default     = null
}

variable "settings" {
  description = "As in modules/cluster."
  type        = map(string)
  default     = {}
}

variable "topics" {
  description = "As in modules/cluster."
  type        = map(object({ partitions = number, settings = optional(map(string), {}) }))
  default     = {}
}

variable "secrets_dir" {
  description = "As in modules/cluster."
  type        = string
}

variable "health_timeout" {
  description = "As in modules/cluster."
  type        = string
  default     = "10m"
}

variable "force_destroy" {
  description = "Whether `terraform destroy` deletes the bucket though it has records. Apply a change of it before destroy."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of what can have them."
  type        = list(string)
  default     = []
}
