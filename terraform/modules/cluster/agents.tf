locals {
  etc = "/etc/varve"
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
    endpoint        = local.own ? one(local.minio_url) : var.store.endpoint
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
  environment = { for name, h in local.agents : name => join("", [for k, v in merge(var.settings, h.settings) : "VARVE_${upper(replace(k, ".", "_"))}='${v}'\n"]) }
  https       = { for name, h in local.agents : name => "https://${h.internal}:${var.ports.http}" }
  # With which commands on a host reach the cluster.
  admin = { for name, h in local.agents : name => {
    name          = "cluster"
    brokers       = ["${h.advertised}:${var.ports.kafka}"]
    http          = local.https[name]
    user          = var.admin_user
    password_file = "${local.etc}/admin-password"
    tls_ca        = "${local.etc}/tls/ca.crt"
  } }
}

# The agent as a member of the cluster. When it is taken away it is drained first, stopped and forgotten.
resource "terraform_data" "member" {
  for_each = local.agents
  input = {
    ssh       = local.ssh[each.key]
    script    = "${local.scripts}/leave.sh"
    leaving   = "${local.secrets_dir}/leaving" # says whether the whole cluster goes
    broker_id = each.value.broker_id
    others    = join(" ", [for name, url in local.https : url if name != each.key])
    timeout   = var.health_timeout
  }
  triggers_replace = {
    host      = terraform_data.host[each.key].id
    broker_id = each.value.broker_id
  }
  depends_on = [terraform_data.package, terraform_data.etcd, terraform_data.minio, terraform_data.certificates]

  connection {
    host                = self.input.ssh.host
    user                = self.input.ssh.user
    port                = self.input.ssh.port
    private_key         = self.input.ssh.key == "" ? null : file(self.input.ssh.key)
    host_key            = self.input.ssh.host_key == "" ? null : self.input.ssh.host_key
    bastion_host        = self.input.ssh.bastion == "" ? null : self.input.ssh.bastion
    bastion_user        = self.input.ssh.bastion_as == "" ? null : self.input.ssh.bastion_as
    bastion_private_key = self.input.ssh.bastion_key == "" ? null : file(self.input.ssh.bastion_key)
  }
  provisioner "file" {
    when        = destroy
    source      = self.input.script
    destination = ".varve-terraform/leave.sh"
  }
  provisioner "file" {
    when        = destroy
    source      = self.input.leaving
    destination = ".varve-terraform/leaving"
  }
  provisioner "remote-exec" {
    when = destroy
    inline = [
      "set -e; if [ \"$(id -u)\" = 0 ]; then s=''; else s='sudo -n'; fi",
      "$s sh .varve-terraform/leave.sh '${self.input.broker_id}' \"$(cat .varve-terraform/leaving)\" '${self.input.timeout}' ${self.input.others}",
    ]
  }
}

# The agent's settings. A change restarts it, when it is its turn.
resource "terraform_data" "agent" {
  for_each = local.agents
  triggers_replace = {
    member        = terraform_data.member[each.key].id
    package       = terraform_data.package[each.key].id
    certificates  = terraform_data.certificates[each.key].id
    configuration = sha256(local.configuration[each.key])
    environment   = sha256(local.environment[each.key])
    scripts       = local.scripts_d
  }

  connection {
    host                = local.ssh[each.key].host
    user                = local.ssh[each.key].user
    port                = local.ssh[each.key].port
    private_key         = local.ssh[each.key].key == "" ? null : file(local.ssh[each.key].key)
    host_key            = local.ssh[each.key].host_key == "" ? null : local.ssh[each.key].host_key
    bastion_host        = local.ssh[each.key].bastion == "" ? null : local.ssh[each.key].bastion
    bastion_user        = local.ssh[each.key].bastion_as == "" ? null : local.ssh[each.key].bastion_as
    bastion_private_key = local.ssh[each.key].bastion_key == "" ? null : file(local.ssh[each.key].bastion_key)
  }
  provisioner "remote-exec" {
    inline = ["rm -rf ${local.work}/agent; mkdir -p ${local.work}/agent/secrets"]
  }
  provisioner "file" {
    source      = "${local.scripts}/"
    destination = "${local.work}/agent"
  }
  provisioner "file" {
    source      = "${terraform_data.certificates[each.key].output.dir}/hosts/${each.key}/agent/"
    destination = "${local.work}/agent/secrets"
  }
  provisioner "file" {
    content     = local.configuration[each.key]
    destination = "${local.work}/agent/varve.yaml"
  }
  provisioner "file" {
    content     = local.environment[each.key]
    destination = "${local.work}/agent/environment"
  }
  provisioner "file" {
    content     = yamlencode({ current = "cluster", profiles = [local.admin[each.key]] })
    destination = "${local.work}/agent/profile.yaml"
  }
  provisioner "remote-exec" {
    inline = [local.sudo, "$s sh ${local.work}/agent/agent.sh '${var.health_timeout}'", "rm -rf ${local.work}/agent"]
  }
}

# The cluster is well, after each change of an agent.
resource "terraform_data" "ready" {
  triggers_replace = { for name, a in terraform_data.agent : name => a.id }

  connection {
    host                = local.ssh[local.first].host
    user                = local.ssh[local.first].user
    port                = local.ssh[local.first].port
    private_key         = local.ssh[local.first].key == "" ? null : file(local.ssh[local.first].key)
    host_key            = local.ssh[local.first].host_key == "" ? null : local.ssh[local.first].host_key
    bastion_host        = local.ssh[local.first].bastion == "" ? null : local.ssh[local.first].bastion
    bastion_user        = local.ssh[local.first].bastion_as == "" ? null : local.ssh[local.first].bastion_as
    bastion_private_key = local.ssh[local.first].bastion_key == "" ? null : file(local.ssh[local.first].bastion_key)
  }
  provisioner "remote-exec" {
    inline = [local.sudo, "$s env VARVE_PROFILE=${local.etc}/profile.yaml varve cluster health --wait --timeout ${var.health_timeout}"]
  }
}

# It is there from the first apply until all of the cluster is destroyed, and is the first to go then.
resource "terraform_data" "cluster" {
  input      = "${local.secrets_dir}/leaving"
  depends_on = [terraform_data.member]

  lifecycle {
    precondition {
      condition     = terraform_data.placed.output == local.placed
      error_message = "Hosts of etcd and MinIO, with address and internal, were ${terraform_data.placed.output}, and would be ${local.placed}. This module doesn't move what they have: etcd could lose its majority, and a new MinIO has no records. Where that was seen to, apply with -replace of terraform_data.placed of this module (README.md, Changes)."
    }
  }

  provisioner "local-exec" { # a destroy that failed half-way may have left the other word
    command     = "echo one > \"$FILE\""
    environment = { FILE = self.input }
  }
  provisioner "local-exec" {
    when        = destroy
    command     = "echo all > \"$FILE\""
    environment = { FILE = self.input }
  }
}
