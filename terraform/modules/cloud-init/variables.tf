variable "hosts" {
  description = <<-EOT
    The machines, by name, as in modules/cluster. What a machine runs: `broker_id` makes it an agent (a number of its own, which never changes), `etcd` an etcd server,
    `minio` the MinIO server.

    - `internal`: name or address by which the other hosts reach it. Needed with `secrets_dir`.
    - `advertised`: name or address that clients are told. Default: `internal`.
    - `rack`: its rack or zone. Copies of a record are spread over racks.
    - `settings`: settings of this agent alone, over `settings`.
    - `disks`: disks for data, by the server that uses them: `varve`, `varve-etcd` or `varve-minio`. A value is the disk's file in `/dev`, or a pattern for it, such as `/dev/disk/by-id/*vol0123*`. It is mounted at `/var/lib/varve` and so on. It is formatted if it is blank, and never otherwise.
  EOT
  type = map(object({
    internal   = optional(string, "")
    advertised = optional(string)
    rack       = optional(string, "")
    broker_id  = optional(number)
    etcd       = optional(bool, false)
    minio      = optional(bool, false)
    settings   = optional(map(string), {})
    disks      = optional(map(string), {})
  }))
  validation {
    condition     = alltrue([for name in keys(var.hosts) : can(regex("^[a-z0-9][a-z0-9-]{0,62}$", name))])
    error_message = "Names of hosts are lower case letters, digits and hyphens."
  }
  validation {
    condition     = length(distinct([for h in var.hosts : h.broker_id if h.broker_id != null])) == length([for h in var.hosts : h if h.broker_id != null])
    error_message = "Each agent needs a broker_id of its own."
  }
  validation {
    condition     = alltrue([for h in var.hosts : h.broker_id == null ? true : h.broker_id >= 1 && floor(h.broker_id) == h.broker_id])
    error_message = "A broker_id is a whole number, 1 or more."
  }
  validation {
    condition     = alltrue(flatten([for h in var.hosts : [for unit, device in h.disks : contains(["varve", "varve-etcd", "varve-minio"], unit) && can(regex("^/dev/[A-Za-z0-9/_.:*?+-]+$", device))]]))
    error_message = "Disks are those of varve, varve-etcd or varve-minio, and files in /dev."
  }
  validation {
    condition     = var.secrets_dir == null || alltrue([for h in var.hosts : h.internal != ""])
    error_message = "With secrets_dir each host needs internal: the others are told."
  }
  validation {
    condition     = var.secrets_dir == null || contains([0, 1, 3, 5], length([for h in var.hosts : h if h.etcd])) && length([for h in var.hosts : h if h.minio]) <= 1
    error_message = "etcd runs on 1, 3 or 5 hosts, MinIO on one at most."
  }
  validation {
    condition     = var.secrets_dir == null || length([for h in var.hosts : h if h.broker_id != null]) == 1 || length([for h in var.hosts : h if h.broker_id != null]) >= 3
    error_message = "One agent, or three and more, need a broker_id: two can't go on without each other."
  }
  validation {
    condition     = var.secrets_dir == null ? true : alltrue([for name, h in var.hosts : length(fileset("${var.secrets_dir}/hosts/${name}/agent", "*.key")) > 0])
    error_message = "secrets_dir lacks a host: 'secrets.sh host' makes its files, as the README says."
  }
}

variable "secrets_dir" {
  description = <<-EOT
    Directory on this machine with the hosts' certificates, keys and passwords, which `modules/cluster/scripts/secrets.sh` makes before the first plan. Then user data has those of its host, and
    the host starts its servers by itself. Without it user data has no secrets: the host is prepared, and modules/cluster does the rest by SSH.
  EOT
  type        = string
  default     = null
}

variable "varve_package" {
  description = "Varve's package: a `url` that the hosts download it from, with a name that ends in .deb or .rpm, and its `sha256`. Without it no package is installed."
  type = object({
    url    = string
    sha256 = string
  })
  default = null
  validation {
    condition     = var.varve_package == null ? true : can(regex("^https?://[^'\\s]+\\.(deb|rpm)$", var.varve_package.url)) && can(regex("^[0-9a-f]{64}$", var.varve_package.sha256))
    error_message = "Give a url that ends in .deb or .rpm, and the sha256 of what is there."
  }
  validation {
    condition     = var.varve_package != null || var.secrets_dir == null
    error_message = "Hosts that start their servers need varve_package."
  }
}

variable "etcd_binary" {
  description = "etcd's server program, or its archive, if hosts run it: a `url` and its `sha256`."
  type = object({
    url    = string
    sha256 = string
  })
  default = null
  validation {
    condition     = var.etcd_binary == null ? true : can(regex("^https?://[^'\\s]+$", var.etcd_binary.url)) && can(regex("^[0-9a-f]{64}$", var.etcd_binary.sha256))
    error_message = "Give a url, and the sha256 of what is there."
  }
  validation {
    condition     = var.etcd_binary != null || var.secrets_dir == null || alltrue([for h in var.hosts : !h.etcd])
    error_message = "Hosts with etcd need etcd_binary."
  }
}

variable "minio_binary" {
  description = "MinIO's server program, if a host runs it: a `url` and its `sha256`."
  type = object({
    url    = string
    sha256 = string
  })
  default = null
  validation {
    condition     = var.minio_binary == null ? true : can(regex("^https?://[^'\\s]+$", var.minio_binary.url)) && can(regex("^[0-9a-f]{64}$", var.minio_binary.sha256))
    error_message = "Give a url, and the sha256 of what is there."
  }
  validation {
    condition     = var.minio_binary != null || var.secrets_dir == null || alltrue([for h in var.hosts : !h.minio])
    error_message = "A host with minio needs minio_binary."
  }
}

variable "ssh_authorized_keys" {
  description = "Public keys that may log in as the image's user, besides those that the cloud puts there."
  type        = list(string)
  default     = []
}

variable "etcd_endpoints" {
  description = "An etcd that exists already: URLs of its servers. Certificates are those of `etcd_tls`."
  type        = list(string)
  default     = []
  validation {
    condition     = var.secrets_dir == null || (length(var.etcd_endpoints) > 0) != anytrue([for h in var.hosts : h.etcd])
    error_message = "Either hosts have etcd, or etcd_endpoints names an etcd that exists."
  }
}

variable "etcd_tls" {
  description = "Files on this machine for TLS with `etcd_endpoints`: its authorities, and a client's certificate and key. User data has them."
  type = object({
    ca_file   = optional(string)
    cert_file = optional(string)
    key_file  = optional(string)
  })
  default = null
}

variable "store" {
  description = <<-EOT
    A bucket that exists already. `driver` is `aws` for AWS's S3 and `minio` for other stores that speak its protocol. Without the files with keys, agents
    use AWS's default chain, such as a role of the instance. `ca_file` are authorities to trust besides the system's. Files are on this machine; user data has them.
  EOT
  type = object({
    driver          = string
    bucket          = string
    endpoint        = optional(string)
    region          = optional(string)
    prefix          = optional(string)
    path_style      = optional(bool, false)
    access_key_file = optional(string)
    secret_key_file = optional(string)
    ca_file         = optional(string)
  })
  default = null
  validation {
    condition     = var.secrets_dir == null || (var.store != null) != anytrue([for h in var.hosts : h.minio])
    error_message = "Either a host has minio, or store names a bucket that exists."
  }
  validation {
    condition     = var.store == null ? true : contains(["aws", "minio"], var.store.driver)
    error_message = "store.driver must be aws or minio."
  }
}

variable "settings" {
  description = "Settings of all agents, by their names in docs/config.md, such as `\"memory\" = \"60%\"`. They win over what this module sets."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for k, v in merge(var.settings, [for h in values(var.hosts) : h.settings]...) : can(regex("^[a-z0-9_.]+$", k)) && !strcontains(v, "'") && !strcontains(v, "\n")])
    error_message = "Settings are named as in docs/config.md; values have neither quotes (') nor ends of lines."
  }
}

variable "topics" {
  description = "Topics that the first agent creates once the cluster is well."
  type = map(object({
    partitions = number
    settings   = optional(map(string), {})
  }))
  default = {}
  validation {
    condition     = alltrue([for name, t in var.topics : can(regex("^[A-Za-z0-9._-]{1,249}$", name)) && alltrue([for k, v in t.settings : can(regex("^[A-Za-z0-9._,:*-]*$", "${k}${v}"))])])
    error_message = "Names and settings of topics are letters, digits, dots, underscores and hyphens."
  }
}

variable "admin_user" {
  description = "Name of the first user, who may do everything: the one that `secrets.sh make` was told."
  type        = string
  default     = "admin"
  validation {
    condition     = can(regex("^[A-Za-z0-9._-]{1,64}$", var.admin_user))
    error_message = "The name has letters, digits, dots, underscores and hyphens."
  }
}

variable "etcd_prefix" {
  description = "Prefix of the cluster's keys in etcd. Clusters that share an etcd differ in it."
  type        = string
  default     = "/varve/default/"
}

variable "ports" {
  description = "Ports on the hosts."
  type = object({
    kafka       = optional(number, 9092)
    http        = optional(number, 9644)
    peer        = optional(number, 9645)
    etcd_client = optional(number, 2379)
    etcd_peer   = optional(number, 2380)
    minio       = optional(number, 9000)
  })
  default = {}
}

variable "health_timeout" {
  description = "How long the first agent waits for the cluster's health before it creates topics."
  type        = string
  default     = "10m"
  validation {
    condition     = can(regex("^[0-9]+[smh]$", var.health_timeout))
    error_message = "A number with s, m or h, such as 10m."
  }
}
