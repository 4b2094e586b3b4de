resource "terraform_data" "topic" {
  for_each = var.topics
  triggers_replace = {
    partitions = each.value.partitions
    settings   = each.value.settings
    cluster    = terraform_data.cluster.id
  }
  depends_on = [terraform_data.ready]

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
  provisioner "file" {
    source      = "${local.scripts}/topic.sh"
    destination = "${local.work}/topic-${each.key}.sh"
  }
  provisioner "remote-exec" {
    inline = [
      local.sudo,
      "$s sh ${local.work}/topic-${each.key}.sh '${each.key}' '${each.value.partitions}' ${join(" ", [for k, v in each.value.settings : "'${k}=${v}'"])}",
      "rm ${local.work}/topic-${each.key}.sh",
    ]
  }
}
