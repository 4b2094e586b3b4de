locals {
  agents   = { for name, h in var.hosts : name => h if h.broker_id != null }
  etcd     = { for name, h in var.hosts : name => h if h.etcd }
  address  = { for name in keys(var.hosts) : name => openstack_networking_port_v2.host[name].all_fixed_ips[0] }
  internal = { for name in keys(var.hosts) : name => var.dns == null ? local.address[name] : "${name}.${trimsuffix(var.dns.domain, ".")}" }
  image_id = var.image_id == null ? data.openstack_images_image_v2.debian[0].id : var.image_id

  # Hosts see a volume by the beginning of its id, behind virtio-blk or virtio-scsi.
  device = { for name in keys(var.hosts) : name => {
    varve = try("/dev/disk/by-id/*${substr(openstack_blockstorage_volume_v3.varve[name].id, 0, 20)}*", "")
    etcd  = try("/dev/disk/by-id/*${substr(openstack_blockstorage_volume_v3.etcd[name].id, 0, 20)}*", "")
  } }
}

data "openstack_images_image_v2" "debian" {
  count       = var.image_id == null ? 1 : 0
  name_regex  = var.image_name
  most_recent = true
}

resource "openstack_compute_keypair_v2" "this" {
  name       = var.name
  public_key = var.ssh_public_key
}

# Hosts of one zone run on different machines, where there are enough.
resource "openstack_compute_servergroup_v2" "this" {
  name     = var.name
  policies = ["soft-anti-affinity"]
}

resource "openstack_blockstorage_volume_v3" "varve" {
  for_each          = local.agents
  name              = "${var.name}-${each.key}-varve"
  size              = coalesce(each.value.disk_gb, var.disk_gb)
  volume_type       = var.volume_type
  availability_zone = var.volume_zone == null ? each.value.zone : var.volume_zone
}

resource "openstack_blockstorage_volume_v3" "etcd" {
  for_each          = local.etcd
  name              = "${var.name}-${each.key}-etcd"
  size              = var.etcd_disk_gb
  volume_type       = var.volume_type
  availability_zone = var.volume_zone == null ? each.value.zone : var.volume_zone
}

module "cloud_init" {
  source = "../cloud-init"

  hosts = { for name, h in var.hosts : name => {
    broker_id = h.broker_id
    etcd      = h.etcd
    disks = merge(
      h.broker_id == null ? {} : { varve = local.device[name].varve },
      h.etcd ? { varve-etcd = local.device[name].etcd } : {},
    )
  } }
}

resource "openstack_compute_instance_v2" "host" {
  for_each          = var.hosts
  name              = "${var.name}-${each.key}"
  image_id          = local.image_id
  flavor_name       = coalesce(each.value.flavor, var.flavor)
  key_pair          = openstack_compute_keypair_v2.this.name
  availability_zone = each.value.zone
  user_data         = module.cloud_init.user_data_base64[each.key]
  tags              = var.tags

  network {
    port = openstack_networking_port_v2.host[each.key].id
  }
  scheduler_hints {
    group = openstack_compute_servergroup_v2.this.id
  }
  lifecycle {
    ignore_changes = [image_id, user_data] # they are for new instances
  }
}

resource "openstack_compute_volume_attach_v2" "varve" {
  for_each    = local.agents
  instance_id = openstack_compute_instance_v2.host[each.key].id
  volume_id   = openstack_blockstorage_volume_v3.varve[each.key].id
}

resource "openstack_compute_volume_attach_v2" "etcd" {
  for_each    = local.etcd
  instance_id = openstack_compute_instance_v2.host[each.key].id
  volume_id   = openstack_blockstorage_volume_v3.etcd[each.key].id
  depends_on  = [openstack_compute_volume_attach_v2.varve] # one at a time
}

resource "openstack_compute_instance_v2" "bastion" {
  name        = "${var.name}-bastion"
  image_id    = local.image_id
  flavor_name = var.bastion_flavor
  key_pair    = openstack_compute_keypair_v2.this.name
  tags        = var.tags

  network {
    port = openstack_networking_port_v2.bastion.id
  }
  lifecycle {
    ignore_changes = [image_id]
  }
}

module "cluster" {
  source = "../cluster"

  hosts = { for name, h in var.hosts : name => {
    address          = local.address[name]
    machine          = openstack_compute_instance_v2.host[name].id
    internal         = local.internal[name]
    names            = var.dns == null ? [] : [local.bootstrap]
    rack             = h.zone
    user             = var.image_user
    private_key_file = var.private_key_file
    broker_id        = h.broker_id
    etcd             = h.etcd
    settings         = h.settings
  } }
  bastion = {
    address          = openstack_networking_floatingip_v2.bastion.address
    user             = var.image_user
    private_key_file = var.private_key_file
  }
  store          = var.store
  varve_package  = var.varve_package
  varve_binary   = var.varve_binary
  etcd_binary    = var.etcd_binary
  etcd_endpoints = var.etcd_endpoints
  etcd_tls       = var.etcd_tls
  settings       = var.settings
  topics         = var.topics
  secrets_dir    = var.secrets_dir
  health_timeout = var.health_timeout

  # What hosts need to be reached and to serve. At destroy it goes after the cluster.
  depends_on = [
    openstack_compute_instance_v2.host, openstack_compute_instance_v2.bastion, openstack_compute_volume_attach_v2.varve, openstack_compute_volume_attach_v2.etcd,
    openstack_networking_floatingip_associate_v2.bastion, openstack_networking_router_interface_v2.this, openstack_networking_secgroup_rule_v2.cluster,
    openstack_networking_secgroup_rule_v2.ssh, openstack_networking_secgroup_rule_v2.bastion, openstack_dns_recordset_v2.host,
    openstack_objectstorage_container_v1.this,
  ]
}
