variable "hosts" {
  description = <<-EOT
    The machines, by name. What a machine runs:
    `broker_id` makes it an agent (a number of its own, which never changes), `etcd` an etcd server, `minio` the MinIO server.
    Names of etcd servers are those of their hosts.

    - `address`: where SSH reaches it.
    - `internal`: name or address by which the other hosts reach it. Default: `address`.
    - `advertised`: name or address that clients are told. Default: `internal`.
    - `names`: further names and addresses for its certificates, such as one that a load balancer or DNS gives to all agents.
    - `rack`: its rack or zone. Copies of a record are spread over racks.
    - `user`, `port`: of SSH. A user other than root needs sudo without a password.
    - `private_key_file`: the SSH key; without it the SSH agent is asked.
    - `host_key`: the host's public key, of type ecdsa where it has one (`/etc/ssh/ssh_host_ecdsa_key.pub`), which Terraform asks for first. Without it Terraform doesn't check whom it talks to.
    - `machine`: what is another one when the machine is made anew behind the same address, such as its instance's id. Then it is handled as another `address` is.
    - `settings`: settings of this agent alone, over `settings`.
  EOT
  type = map(object({
    address          = string
    internal         = optional(string)
    advertised       = optional(string)
    names            = optional(list(string), [])
    rack             = optional(string, "")
    user             = optional(string, "root")
    port             = optional(number, 22)
    private_key_file = optional(string)
    host_key         = optional(string)
    machine          = optional(string)
    broker_id        = optional(number)
    etcd             = optional(bool, false)
    minio            = optional(bool, false)
    settings         = optional(map(string), {})
  }))

  validation {
    condition     = alltrue([for name in keys(var.hosts) : can(regex("^[a-z0-9][a-z0-9-]{0,62}$", name))])
    error_message = "Names of hosts are lower case letters, digits and hyphens."
  }
  validation {
    condition     = length([for h in var.hosts : h if h.broker_id != null]) == 1 || length([for h in var.hosts : h if h.broker_id != null]) >= 3
    error_message = "One agent, or three and more, need a broker_id: two can't go on without each other."
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
    condition     = contains([0, 1, 3, 5], length([for h in var.hosts : h if h.etcd]))
    error_message = "etcd runs on 1, 3 or 5 hosts, or elsewhere (etcd_endpoints)."
  }
  validation {
    condition     = length([for h in var.hosts : h if h.minio]) <= 1
    error_message = "This module runs one MinIO server at most. For more than that, give the bucket by store."
  }
}

variable "bastion" {
  description = "A host through which SSH goes to all others."
  type = object({
    address          = string
    user             = optional(string, "root")
    private_key_file = optional(string)
  })
  default = null
}

variable "varve_package" {
  description = "Varve's package: the `path` of a deb or an rpm on this machine, or a `url` that the hosts download it from and its `sha256`."
  type = object({
    path   = optional(string)
    url    = optional(string)
    sha256 = optional(string)
  })
  validation {
    condition     = (var.varve_package.path != null) != (var.varve_package.url != null)
    error_message = "Give either path or url."
  }
  validation {
    condition     = var.varve_package.url == null || can(regex("^[0-9a-f]{64}$", var.varve_package.sha256))
    error_message = "A url needs the sha256 of what is there."
  }
  validation {
    condition     = can(regex("\\.(deb|rpm)$", coalesce(var.varve_package.path, var.varve_package.url)))
    error_message = "The package's name must end in .deb or .rpm."
  }
}

variable "etcd_binary" {
  description = "etcd's server program, if hosts run it: the `path` of the file on this machine, or a `url` and its `sha256`."
  type = object({
    path   = optional(string)
    url    = optional(string)
    sha256 = optional(string)
  })
  default = null
  validation {
    condition     = var.etcd_binary == null ? true : (var.etcd_binary.path != null) != (var.etcd_binary.url != null) && (var.etcd_binary.url == null || can(regex("^[0-9a-f]{64}$", var.etcd_binary.sha256)))
    error_message = "Give either path, or url and sha256."
  }
  validation {
    condition     = var.etcd_binary != null || alltrue([for h in var.hosts : !h.etcd])
    error_message = "Hosts with etcd need etcd_binary."
  }
}

variable "minio_binary" {
  description = "MinIO's server program, if a host runs it: the `path` of the file on this machine, or a `url` and its `sha256`."
  type = object({
    path   = optional(string)
    url    = optional(string)
    sha256 = optional(string)
  })
  default = null
  validation {
    condition     = var.minio_binary == null ? true : (var.minio_binary.path != null) != (var.minio_binary.url != null) && (var.minio_binary.url == null || can(regex("^[0-9a-f]{64}$", var.minio_binary.sha256)))
    error_message = "Give either path, or url and sha256."
  }
  validation {
    condition     = var.minio_binary != null || alltrue([for h in var.hosts : !h.minio])
    error_message = "A host with minio needs minio_binary."
  }
}

variable "etcd_endpoints" {
  description = "An etcd that exists already: URLs of its servers. Certificates are those of `etcd_tls`."
  type        = list(string)
  default     = []
  validation {
    condition     = (length(var.etcd_endpoints) > 0) != anytrue([for h in var.hosts : h.etcd])
    error_message = "Either hosts have etcd, or etcd_endpoints names an etcd that exists."
  }
}

variable "etcd_tls" {
  description = "Files on this machine for TLS with `etcd_endpoints`: its authorities, and a client's certificate and key."
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
    use AWS's default chain, such as a role of the instance. `ca_file` are authorities to trust besides the system's. Files are on this machine.
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
    condition     = (var.store != null) != anytrue([for h in var.hosts : h.minio])
    error_message = "Either a host has minio, or store names a bucket that exists."
  }
  validation {
    condition     = var.store == null ? true : contains(["aws", "minio"], var.store.driver)
    error_message = "store.driver must be aws or minio."
  }
}

variable "settings" {
  description = "Settings of all agents, by their names in docs/config.md, such as `\"memory\" = \"60%\"`. They win over what this module sets. A change restarts the agents, one after the other."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for k, v in merge(var.settings, [for h in values(var.hosts) : h.settings]...) : can(regex("^[a-z0-9_.]+$", k)) && !strcontains(v, "'") && !strcontains(v, "\n")])
    error_message = "Settings are named as in docs/config.md; values have neither quotes (') nor ends of lines."
  }
}

variable "topics" {
  description = "Topics to create, by name. More partitions and other settings alter a topic; one that is taken away here is not deleted."
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

variable "secrets_dir" {
  description = "Directory on this machine for what must stay secret: the authorities' keys, the hosts' certificates, the password of the first user, and clients' files. It is made with mode 0700. Keep it as you keep the state: who has it is the cluster's administrator."
  type        = string
}

variable "varve_binary" {
  description = "The varve program on this machine, which makes certificates."
  type        = string
  default     = "varve"
}

variable "admin_user" {
  description = "Name of the first user, who may do everything. It can't be changed after the first apply."
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
  description = "How long to wait for the cluster's health before and after each step, and for an agent to be drained."
  type        = string
  default     = "10m"
  validation {
    condition     = can(regex("^[0-9]+[smh]$", var.health_timeout))
    error_message = "A number with s, m or h, such as 10m."
  }
}

variable "force_destroy" {
  description = "Whether `terraform destroy` deletes records as well: the data of etcd, MinIO and agents on the hosts. Without it the programs and their settings go, and the data stays. Apply a change of it before destroy."
  type        = bool
  default     = false
}
