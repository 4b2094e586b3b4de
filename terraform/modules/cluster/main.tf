locals {
  hosts = { for name, h in var.hosts : name => merge(h, {
    internal   = coalesce(h.internal, h.address)
    advertised = coalesce(h.advertised, h.internal, h.address)
  }) }
  agents = { for name, h in local.hosts : name => h if h.broker_id != null }
  etcd   = { for name, h in local.hosts : name => h if h.etcd }
  minio  = { for name, h in local.hosts : name => h if h.minio }

  secrets_dir = abspath(var.secrets_dir)
  work        = ".varve-terraform" # in the home directory on hosts, readable for its owner only
  prepare     = "mkdir -p -m 0700 ${local.work}"
  # A machine that was just made may still be mounting its disks.
  booted = "if command -v cloud-init >/dev/null; then cloud-init status --wait >/dev/null || [ $? = 2 ] || { echo \"$(uname -n): cloud-init failed: 'cloud-init status --long' says at what\" >&2; exit 1; }; fi"
  sudo   = "set -e; if [ \"$(id -u)\" = 0 ]; then s=''; else s='sudo -n'; fi"

  # How SSH reaches each host. It is kept in the state for the time when a host is given up; keys are names of files.
  ssh = { for name, h in local.hosts : name => {
    host        = h.address
    user        = h.user
    port        = h.port
    key         = h.private_key_file == null ? "" : abspath(pathexpand(h.private_key_file))
    host_key    = h.host_key == null ? "" : h.host_key
    bastion     = var.bastion == null ? "" : var.bastion.address
    bastion_as  = var.bastion == null ? "" : var.bastion.user
    bastion_key = try(abspath(pathexpand(var.bastion.private_key_file)), "")
  } }

  # The first agent, where commands for the whole cluster run.
  first = keys(local.agents)[index(values(local.agents)[*].broker_id, min(values(local.agents)[*].broker_id...))]

  scripts   = "${abspath(path.module)}/scripts"
  scripts_d = sha256(join("", [for f in sort(fileset(local.scripts, "*.sh")) : filesha256("${local.scripts}/${f}")]))
}

# The authorities, the first user's password and MinIO's keys, on this machine.
resource "terraform_data" "secrets" {
  input = {
    dir    = local.secrets_dir
    script = "${local.scripts}/secrets.sh"
  }

  provisioner "local-exec" {
    command     = "sh \"$SCRIPT\" make \"$DIR\" \"$VARVE\" \"$ADMIN\""
    environment = { SCRIPT = self.input.script, DIR = self.input.dir, VARVE = var.varve_binary, ADMIN = var.admin_user }
  }
  provisioner "local-exec" {
    when        = destroy
    command     = "sh \"$SCRIPT\" forget \"$DIR\""
    environment = { SCRIPT = self.input.script, DIR = self.input.dir }
  }
  lifecycle {
    precondition {
      condition     = try(startswith(file("${local.secrets_dir}/first-user"), "${var.admin_user}:"), true)
      error_message = "The first user was made with another name, and admin_user can't be changed: nobody would have the password of an administrator. Set it back, and make further users with 'varve user create'."
    }
  }
}

# What each host has of it, in a directory of its own.
resource "terraform_data" "certificates" {
  for_each = local.hosts
  input = {
    dir    = terraform_data.secrets.output.dir
    script = "${local.scripts}/secrets.sh"
    name   = each.key
  }
  triggers_replace = {
    authority = terraform_data.secrets.id
    names     = distinct(concat([each.value.internal, each.value.advertised, "localhost", "127.0.0.1"], each.value.names))
    files     = [for f in local.given_files : f == null ? "" : filesha256(f)]
  }

  provisioner "local-exec" {
    command     = "sh \"$SCRIPT\" host \"$DIR\" \"$VARVE\" \"$NAME\" \"$HOSTS\""
    environment = merge({ SCRIPT = self.input.script, DIR = self.input.dir, NAME = self.input.name, VARVE = var.varve_binary, HOSTS = join(",", self.triggers_replace.names) }, local.given)
  }
  provisioner "local-exec" {
    when        = destroy
    command     = "rm -rf \"$DIR/hosts/$NAME\""
    environment = { DIR = self.input.dir, NAME = self.input.name }
  }
}

locals {
  # Files of an etcd and a bucket that exist already, which go to the hosts beside the certificates.
  given = {
    GIVEN_ETCD_CA    = try(abspath(var.etcd_tls.ca_file), "")
    GIVEN_ETCD_CERT  = try(abspath(var.etcd_tls.cert_file), "")
    GIVEN_ETCD_KEY   = try(abspath(var.etcd_tls.key_file), "")
    GIVEN_ACCESS_KEY = try(abspath(var.store.access_key_file), "")
    GIVEN_SECRET_KEY = try(abspath(var.store.secret_key_file), "")
    GIVEN_STORE_CA   = try(abspath(var.store.ca_file), "")
  }
  given_files = [for f in values(local.given) : f == "" ? null : f]
}

# Where data is that can't be moved by starting a server somewhere else: the hosts of etcd and MinIO when they were made.
resource "terraform_data" "placed" {
  input      = local.placed
  depends_on = [terraform_data.etcd, terraform_data.minio] # what an apply got wrong before that may be corrected

  lifecycle {
    ignore_changes = [input]
  }
}

locals {
  placed = jsonencode({
    etcd  = { for name, h in local.etcd : name => compact([h.address, h.internal, h.machine]) }
    minio = { for name, h in local.minio : name => compact([h.address, h.internal, h.machine]) }
  })
}

# The host, as long as it is one of the cluster. When it is given up nothing stays on it but data, if that is to stay.
resource "terraform_data" "host" {
  for_each = local.hosts
  input = {
    ssh           = local.ssh[each.key]
    script        = "${local.scripts}/purge.sh"
    force_destroy = var.force_destroy
  }
  triggers_replace = each.value.machine == null ? each.value.address : "${each.value.address} ${each.value.machine}"

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
  provisioner "remote-exec" {
    inline = [local.booted, local.prepare]
  }
  provisioner "file" {
    when        = destroy
    source      = self.input.script
    destination = ".varve-terraform/purge.sh"
  }
  provisioner "remote-exec" {
    when = destroy
    inline = [
      "set -e; if [ \"$(id -u)\" = 0 ]; then s=''; else s='sudo -n'; fi",
      "$s sh .varve-terraform/purge.sh ${self.input.force_destroy}",
      "rm -rf .varve-terraform",
    ]
  }
}

# Varve's package, on hosts with agents, and on those with etcd, which take turns by it. It neither starts nor restarts anything.
resource "terraform_data" "package" {
  for_each = { for name, h in local.hosts : name => h if h.broker_id != null || h.etcd }
  triggers_replace = {
    host    = terraform_data.host[each.key].id
    package = var.varve_package.path == null ? var.varve_package.sha256 : filesha256(var.varve_package.path)
    scripts = local.scripts_d
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
    inline = ["mkdir -p ${local.work}/package"]
  }
  provisioner "file" {
    source      = "${local.scripts}/"
    destination = "${local.work}/package"
  }
  provisioner "file" {
    source      = var.varve_package.path == null ? "${local.scripts}/nothing" : var.varve_package.path
    destination = "${local.work}/package/uploaded"
  }
  provisioner "remote-exec" {
    inline = [local.sudo, "$s sh ${local.work}/package/package.sh '${self.triggers_replace.package}' '${var.varve_package.url == null ? "" : var.varve_package.url}' '${endswith(coalesce(var.varve_package.path, var.varve_package.url), ".rpm") ? "rpm" : "deb"}'"]
  }
}
