module "files" {
  source = "./files"

  hosts = { for name, h in local.hosts : name => {
    internal   = h.internal
    advertised = h.advertised
    rack       = h.rack
    broker_id  = h.broker_id
    etcd       = h.etcd
    minio      = h.minio
    settings   = h.settings
  } }
  etcd_endpoints = var.etcd_endpoints
  etcd_tls       = var.etcd_tls
  etcd_prefix    = var.etcd_prefix
  store          = var.store
  settings       = var.settings
  admin_user     = var.admin_user
  ports          = var.ports
}

locals {
  etc              = "/etc/varve"
  configuration    = module.files.configuration
  environment      = module.files.environment
  https            = module.files.https
  etcd_environment = module.files.etcd_environment
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
    content     = module.files.profile[each.key]
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
