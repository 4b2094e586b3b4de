variable "name" {
  description = "Name of the cluster: the names of what is made begin with it."
  type        = string
  default     = "varve"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}$", var.name))
    error_message = "A name has lower case letters, digits and hyphens, and begins with a letter."
  }
}

variable "region" {
  description = "The region, that of the provider."
  type        = string
}

variable "zones" {
  description = "Availability zones with hosts, such as `eu-central-1a`. Add further ones at the end: the networks of the others keep their addresses by their place."
  type        = list(string)
  validation {
    condition     = length(var.zones) > 0 && length(var.zones) <= 100 && length(distinct(var.zones)) == length(var.zones)
    error_message = "Name at least one zone, and each once."
  }
}

variable "hosts" {
  description = <<-EOT
    The instances, by name. `broker_id` makes one an agent (a number of its own, which never changes), `etcd` an etcd server.

    - `zone`: one of `zones`. It is also the rack: copies of a record are spread over zones.
    - `instance_type`: default: that of all.
    - `disk_gb`: size of an agent's disk. Default: that of all.
    - `settings`: settings of this agent alone, over `settings`.
  EOT
  type = map(object({
    zone          = string
    broker_id     = optional(number)
    etcd          = optional(bool, false)
    instance_type = optional(string)
    disk_gb       = optional(number)
    settings      = optional(map(string), {})
  }))
  validation {
    condition     = alltrue([for h in var.hosts : contains(var.zones, h.zone)])
    error_message = "The zone of each host must be one of zones."
  }
}

variable "instance_type" {
  description = "Type of the instances. It must be one of the Nitro system, for the image's architecture."
  type        = string
  default     = "m6i.large"
}

variable "image_id" {
  description = "AMI of the instances. Default: Debian's newest of `debian`. A newer image changes no instance that is there."
  type        = string
  default     = null
}

variable "debian" {
  description = "Debian's version and architecture, if `image_id` isn't given."
  type = object({
    version      = optional(string, "13")
    architecture = optional(string, "amd64")
  })
  default = {}
}

variable "image_user" {
  description = "The image's user, whom SSH logs in as."
  type        = string
  default     = "admin"
}

variable "disk" {
  description = "An agent's disk for its journals: an EBS volume."
  type = object({
    gb         = optional(number, 100)
    type       = optional(string, "gp3")
    iops       = optional(number, 3000)
    throughput = optional(number, 125)
  })
  default = {}
}

variable "etcd_disk_gb" {
  description = "Size of an etcd server's disk."
  type        = number
  default     = 20
}

variable "vpc_cidr" {
  description = "Addresses of the network: a /16."
  type        = string
  default     = "10.20.0.0/16"
  validation {
    condition     = can(regex("/16$", var.vpc_cidr)) && can(cidrhost(var.vpc_cidr, 1))
    error_message = "Give a /16, such as 10.20.0.0/16."
  }
}

variable "internet" {
  description = "Whether hosts reach the internet, through a NAT gateway: for Debian's updates, and for packages by url. The bucket is reached without it."
  type        = bool
  default     = true
}

variable "domain" {
  description = "Domain of the hosts' names, in a private zone of Route 53: `a.varve.internal` for host a, and `bootstrap.varve.internal` for all agents. Certificates have them."
  type        = string
  default     = "varve.internal"
}

variable "client_cidrs" {
  description = "Addresses of clients besides those of the network itself, such as those of a peered VPC."
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

variable "bastion_instance_type" {
  description = "Type of the bastion."
  type        = string
  default     = "t3.micro"
}

variable "bucket" {
  description = "Name of the bucket to make. Default: `name`, and what makes it unique."
  type        = string
  default     = null
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
  description = "Tags of all that is made."
  type        = map(string)
  default     = {}
}
