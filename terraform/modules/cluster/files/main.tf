# What is written on hosts: the settings of agents and of etcd. modules/cluster sends them by SSH, modules/cloud-init as user data.
# Both write the same, so that one can go on where the other ended.

terraform {
  required_version = ">= 1.9"
}

locals {
  agents = { for name, h in var.hosts : name => h if h.broker_id != null }
  etcd   = { for name, h in var.hosts : name => h if h.etcd }
  minio  = { for name, h in var.hosts : name => h if h.minio }

  etc      = "/etc/varve"
  etcd_etc = "/etc/varve-etcd/tls"

  etcd_endpoints = length(local.etcd) == 0 ? var.etcd_endpoints : [for name, h in local.etcd : "https://${h.internal}:${var.ports.etcd_client}"]
  etcd_settings = {
    endpoints = local.etcd_endpoints
    prefix    = var.etcd_prefix
  }
  own_etcd_tls = length(local.etcd) > 0 ? { ca_file = "${local.etc}/tls/services-ca.crt", cert_file = "${local.etc}/tls/service.crt", key_file = "${local.etc}/tls/service.key" } : {
    for setting, name in { ca_file = "etcd-ca.crt", cert_file = "etcd.crt", key_file = "etcd.key" } : setting => "${local.etc}/tls/${name}" if try(var.etcd_tls[setting], null) != null
  }
  # The bucket that exists, or that of the host with MinIO. Settings that are null are left out.
  own   = var.store == null
  files = { for k in ["access_key_file", "secret_key_file"] : k => local.own ? true : var.store[k] != null }
  store = {
    driver          = local.own ? "minio" : var.store.driver
    endpoint        = local.own ? one([for h in local.minio : "https://${h.internal}:${var.ports.minio}"]) : var.store.endpoint
    bucket          = local.own ? "varve" : var.store.bucket
    region          = local.own ? null : var.store.region
    prefix          = local.own ? null : var.store.prefix
    path_style      = local.own ? true : var.store.path_style
    access_key_file = local.files.access_key_file ? "${local.etc}/tls/access-key" : null
    secret_key_file = local.files.secret_key_file ? "${local.etc}/tls/secret-key" : null
    tls             = local.own ? { ca_file = "${local.etc}/tls/services-ca.crt" } : var.store.ca_file == null ? null : { ca_file = "${local.etc}/tls/store-ca.crt" }
  }
  tls  = { cert_file = "${local.etc}/tls/agent.crt", key_file = "${local.etc}/tls/agent.key" }
  many = length(local.agents) > 1

  configuration = { for name, h in local.agents : name => yamlencode({
    broker_id = h.broker_id
    rack      = h.rack
    data_dir  = "/var/lib/varve"
    listeners = [{
      name       = "SASL_SSL"
      bind       = ":${var.ports.kafka}"
      advertised = "${h.advertised}:${var.ports.kafka}"
      tls        = local.tls
    }]
    http     = ":${var.ports.http}"
    http_tls = local.tls
    peer = {
      bind       = ":${var.ports.peer}"
      advertised = "${h.internal}:${var.ports.peer}"
      tls        = merge(local.tls, { ca_file = "${local.etc}/tls/ca.crt" })
    }
    replication = { factor = local.many ? 3 : 1, quorum = local.many ? 2 : 1 }
    etcd        = { for k, v in merge(local.etcd_settings, { tls = local.own_etcd_tls }) : k => v if k != "tls" || length(local.own_etcd_tls) > 0 }
    store       = { for k, v in local.store : k => v if v != null }
    security = {
      authorizer          = "acl"
      super_users         = ["User:${var.admin_user}"]
      bootstrap_user_file = "${local.etc}/tls/first-user"
    }
    log = { format = "json" }
  }) }
  https = { for name, h in local.agents : name => "https://${h.internal}:${var.ports.http}" }
}

variable "hosts" {
  description = "The machines, by name. Nothing is left out."
  type = map(object({
    internal   = string
    advertised = string
    rack       = string
    broker_id  = optional(number)
    etcd       = bool
    minio      = bool
    settings   = map(string)
  }))
}

variable "etcd_endpoints" {
  type = list(string)
}

variable "etcd_tls" {
  type = object({
    ca_file   = optional(string)
    cert_file = optional(string)
    key_file  = optional(string)
  })
}

variable "etcd_prefix" {
  type = string
}

variable "store" {
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
}

variable "settings" {
  type = map(string)
}

variable "admin_user" {
  type = string
}

variable "ports" {
  type = object({ kafka = number, http = number, peer = number, etcd_client = number, etcd_peer = number, minio = number })
}

output "configuration" {
  description = "varve.yaml of each agent."
  value       = local.configuration
}

output "environment" {
  description = "Settings of each agent as variables."
  value       = { for name, h in local.agents : name => join("", [for k, v in merge(var.settings, h.settings) : "VARVE_${upper(replace(k, ".", "_"))}='${v}'\n"]) }
}

output "profile" {
  description = "With which commands on a host reach the cluster."
  value = { for name, h in local.agents : name => yamlencode({ current = "cluster", profiles = [{
    name          = "cluster"
    brokers       = ["${h.advertised}:${var.ports.kafka}"]
    http          = local.https[name]
    user          = var.admin_user
    password_file = "${local.etc}/admin-password"
    tls_ca        = "${local.etc}/tls/ca.crt"
  }] }) }
}

output "https" {
  description = "Each agent's HTTP."
  value       = local.https
}

output "etcd_environment" {
  description = "Settings of each etcd server."
  value = { for name, h in local.etcd : name => {
    ETCD_NAME                        = name
    ETCD_DATA_DIR                    = "/var/lib/varve-etcd"
    ETCD_LISTEN_CLIENT_URLS          = "https://0.0.0.0:${var.ports.etcd_client}"
    ETCD_ADVERTISE_CLIENT_URLS       = "https://${h.internal}:${var.ports.etcd_client}"
    ETCD_LISTEN_PEER_URLS            = "https://0.0.0.0:${var.ports.etcd_peer}"
    ETCD_INITIAL_ADVERTISE_PEER_URLS = "https://${h.internal}:${var.ports.etcd_peer}"
    ETCD_INITIAL_CLUSTER             = join(",", [for n, x in local.etcd : "${n}=https://${x.internal}:${var.ports.etcd_peer}"])
    ETCD_INITIAL_CLUSTER_STATE       = "new"
    ETCD_CLIENT_CERT_AUTH            = "true"
    ETCD_TRUSTED_CA_FILE             = "${local.etcd_etc}/services-ca.crt"
    ETCD_CERT_FILE                   = "${local.etcd_etc}/service.crt"
    ETCD_KEY_FILE                    = "${local.etcd_etc}/service.key"
    ETCD_PEER_CLIENT_CERT_AUTH       = "true"
    ETCD_PEER_TRUSTED_CA_FILE        = "${local.etcd_etc}/services-ca.crt"
    ETCD_PEER_CERT_FILE              = "${local.etcd_etc}/service.crt"
    ETCD_PEER_KEY_FILE               = "${local.etcd_etc}/service.key"
    ETCD_QUOTA_BACKEND_BYTES         = "8589934592"
    ETCD_LOG_LEVEL                   = "warn"
  } }
}

output "turn" {
  description = "With which 'varve cluster turn' on a host with etcd takes the lock."
  value       = yamlencode({ broker_id = 1, etcd = merge(local.etcd_settings, { tls = { ca_file = "${local.etcd_etc}/services-ca.crt", cert_file = "${local.etcd_etc}/service.crt", key_file = "${local.etcd_etc}/service.key" } }) })
}
