resource "terraform_data" "minio" {
  for_each = local.minio
  triggers_replace = {
    host         = terraform_data.host[each.key].id
    certificates = terraform_data.certificates[each.key].id
    binary       = var.minio_binary.path == null ? var.minio_binary.sha256 : filesha256(var.minio_binary.path)
    port         = var.ports.minio
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
    inline = ["rm -rf ${local.work}/minio; mkdir -p ${local.work}/minio/secrets"]
  }
  provisioner "file" {
    source      = "${local.scripts}/"
    destination = "${local.work}/minio"
  }
  provisioner "file" {
    source      = "${terraform_data.certificates[each.key].output.dir}/hosts/${each.key}/minio/"
    destination = "${local.work}/minio/secrets"
  }
  provisioner "file" {
    source      = var.minio_binary.path == null ? "${local.scripts}/nothing" : var.minio_binary.path
    destination = "${local.work}/minio/uploaded"
  }
  provisioner "remote-exec" {
    inline = [local.sudo, "$s sh ${local.work}/minio/minio.sh '${self.triggers_replace.binary}' '${var.minio_binary.url == null ? "" : var.minio_binary.url}' '${var.ports.minio}'", "rm -rf ${local.work}/minio"]
  }
}
