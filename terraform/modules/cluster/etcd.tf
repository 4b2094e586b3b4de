resource "terraform_data" "etcd" {
  for_each = local.etcd
  triggers_replace = {
    host         = terraform_data.host[each.key].id
    package      = terraform_data.package[each.key].id # varve cluster turn
    certificates = terraform_data.certificates[each.key].id
    binary       = var.etcd_binary.path == null ? var.etcd_binary.sha256 : filesha256(var.etcd_binary.path)
    environment  = local.etcd_environment[each.key]
    scripts      = local.scripts_d
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
    inline = ["rm -rf ${local.work}/etcd; mkdir -p ${local.work}/etcd/secrets"]
  }
  provisioner "file" {
    source      = "${local.scripts}/"
    destination = "${local.work}/etcd"
  }
  provisioner "file" {
    source      = "${terraform_data.certificates[each.key].output.dir}/hosts/${each.key}/etcd/"
    destination = "${local.work}/etcd/secrets"
  }
  provisioner "file" {
    source      = var.etcd_binary.path == null ? "${local.scripts}/nothing" : var.etcd_binary.path
    destination = "${local.work}/etcd/uploaded"
  }
  provisioner "file" {
    content     = join("", [for k, v in local.etcd_environment[each.key] : "${k}='${v}'\n"])
    destination = "${local.work}/etcd/environment"
  }
  provisioner "file" {
    content     = module.files.turn
    destination = "${local.work}/etcd/turn.yaml"
  }
  provisioner "remote-exec" {
    inline = [local.sudo, "$s sh ${local.work}/etcd/etcd.sh '${self.triggers_replace.binary}' '${var.etcd_binary.url == null ? "" : var.etcd_binary.url}' ${length(local.etcd)}", "rm -rf ${local.work}/etcd"]
  }
}
