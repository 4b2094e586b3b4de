locals {
  bootstrap     = var.dns == null ? "" : "bootstrap.${trimsuffix(var.dns.domain, ".")}"
  cluster_ports = { http = 9644, peer = 9645, etcd_client = 2379, etcd_peer = 2380 }
  client_ports  = { for pair in setproduct(["9092", "9644"], concat([var.subnet_cidr], var.client_cidrs)) : "${pair[0]}-${pair[1]}" => { port = tonumber(pair[0]), cidr = pair[1] } }
}

resource "openstack_networking_network_v2" "this" {
  name = var.name
  tags = var.tags
}

resource "openstack_networking_subnet_v2" "this" {
  name            = var.name
  network_id      = openstack_networking_network_v2.this.id
  cidr            = var.subnet_cidr
  dns_nameservers = var.dns_nameservers
  tags            = var.tags
}

resource "openstack_networking_router_v2" "this" {
  name                = var.name
  external_network_id = var.external_network_id
  tags                = var.tags
}

resource "openstack_networking_router_interface_v2" "this" {
  router_id = openstack_networking_router_v2.this.id
  subnet_id = openstack_networking_subnet_v2.this.id
}

# What reaches the hosts: clients, each other, and SSH from the bastion.
resource "openstack_networking_secgroup_v2" "host" {
  name        = "${var.name}-host"
  description = "Hosts of the Varve cluster ${var.name}"
  tags        = var.tags
}

resource "openstack_networking_secgroup_rule_v2" "cluster" {
  for_each          = local.cluster_ports
  description       = "each other: ${each.key}"
  security_group_id = openstack_networking_secgroup_v2.host.id
  remote_group_id   = openstack_networking_secgroup_v2.host.id
  direction         = "ingress"
  ethertype         = "IPv4"
  protocol          = "tcp"
  port_range_min    = each.value
  port_range_max    = each.value
}

resource "openstack_networking_secgroup_rule_v2" "client" {
  for_each          = local.client_ports
  description       = "clients"
  security_group_id = openstack_networking_secgroup_v2.host.id
  remote_ip_prefix  = each.value.cidr
  direction         = "ingress"
  ethertype         = "IPv4"
  protocol          = "tcp"
  port_range_min    = each.value.port
  port_range_max    = each.value.port
}

resource "openstack_networking_secgroup_rule_v2" "ssh" {
  description       = "SSH from the bastion"
  security_group_id = openstack_networking_secgroup_v2.host.id
  remote_group_id   = openstack_networking_secgroup_v2.bastion.id
  direction         = "ingress"
  ethertype         = "IPv4"
  protocol          = "tcp"
  port_range_min    = 22
  port_range_max    = 22
}

resource "openstack_networking_secgroup_v2" "bastion" {
  name        = "${var.name}-bastion"
  description = "Bastion of the Varve cluster ${var.name}"
  tags        = var.tags
}

resource "openstack_networking_secgroup_rule_v2" "bastion" {
  for_each          = toset(var.ssh_cidrs)
  description       = "SSH"
  security_group_id = openstack_networking_secgroup_v2.bastion.id
  remote_ip_prefix  = each.value
  direction         = "ingress"
  ethertype         = "IPv4"
  protocol          = "tcp"
  port_range_min    = 22
  port_range_max    = 22
}

# A host's address is its port's, and stays when the host is made anew.
resource "openstack_networking_port_v2" "host" {
  for_each           = var.hosts
  name               = "${var.name}-${each.key}"
  network_id         = openstack_networking_network_v2.this.id
  security_group_ids = [openstack_networking_secgroup_v2.host.id]
  admin_state_up     = true
  tags               = var.tags
  fixed_ip {
    subnet_id = openstack_networking_subnet_v2.this.id
  }
}

resource "openstack_networking_port_v2" "bastion" {
  name               = "${var.name}-bastion"
  network_id         = openstack_networking_network_v2.this.id
  security_group_ids = [openstack_networking_secgroup_v2.bastion.id]
  admin_state_up     = true
  tags               = var.tags
  fixed_ip {
    subnet_id = openstack_networking_subnet_v2.this.id
  }
}

resource "openstack_networking_floatingip_v2" "bastion" {
  pool = var.floating_ip_pool
  tags = var.tags
}

resource "openstack_networking_floatingip_associate_v2" "bastion" {
  floating_ip = openstack_networking_floatingip_v2.bastion.address
  port_id     = openstack_networking_port_v2.bastion.id
  depends_on  = [openstack_networking_router_interface_v2.this]
}

resource "openstack_dns_recordset_v2" "host" {
  for_each = { for name, h in var.hosts : name => h if var.dns != null }
  zone_id  = var.dns.zone_id
  name     = "${local.internal[each.key]}."
  type     = "A"
  ttl      = 60
  records  = [local.address[each.key]]
}

resource "openstack_dns_recordset_v2" "bootstrap" {
  count   = var.dns == null ? 0 : 1
  zone_id = var.dns.zone_id
  name    = "${local.bootstrap}."
  type    = "A"
  ttl     = 60
  records = [for name in keys(local.agents) : local.address[name]]
}

resource "openstack_objectstorage_container_v1" "this" {
  count         = var.make_bucket ? 1 : 0
  name          = var.store.bucket
  force_destroy = var.force_destroy
}
