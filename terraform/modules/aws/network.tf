locals {
  tags  = merge({ Cluster = var.name }, var.tags)
  zones = { for i, zone in var.zones : zone => i }
}

resource "aws_vpc" "this" {
  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = merge(local.tags, { Name = var.name })
}

# Hosts have private addresses alone, in a network for each zone.
resource "aws_subnet" "private" {
  for_each          = local.zones
  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.vpc_cidr, 8, each.value)
  tags              = merge(local.tags, { Name = "${var.name}-private-${each.key}" })
}

# The bastion and the NAT gateway are in the first zone.
resource "aws_subnet" "public" {
  vpc_id            = aws_vpc.this.id
  availability_zone = var.zones[0]
  cidr_block        = cidrsubnet(var.vpc_cidr, 8, 200)
  tags              = merge(local.tags, { Name = "${var.name}-public" })
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(local.tags, { Name = var.name })
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id
  tags   = merge(local.tags, { Name = "${var.name}-public" })
}

resource "aws_route" "public" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "public" {
  subnet_id      = aws_subnet.public.id
  route_table_id = aws_route_table.public.id
}

resource "aws_eip" "nat" {
  count  = var.internet ? 1 : 0
  domain = "vpc"
  tags   = merge(local.tags, { Name = "${var.name}-nat" })
}

resource "aws_nat_gateway" "this" {
  count         = var.internet ? 1 : 0
  allocation_id = aws_eip.nat[0].id
  subnet_id     = aws_subnet.public.id
  tags          = merge(local.tags, { Name = var.name })
  depends_on    = [aws_internet_gateway.this]
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.this.id
  tags   = merge(local.tags, { Name = "${var.name}-private" })
}

resource "aws_route" "private" {
  count                  = var.internet ? 1 : 0
  route_table_id         = aws_route_table.private.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[0].id
}

resource "aws_route_table_association" "private" {
  for_each       = aws_subnet.private
  subnet_id      = each.value.id
  route_table_id = aws_route_table.private.id
}

# The bucket is reached within AWS's network, which costs nothing for each byte.
resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  vpc_endpoint_type = "Gateway"
  service_name      = "com.amazonaws.${var.region}.s3"
  route_table_ids   = [aws_route_table.private.id]
  tags              = merge(local.tags, { Name = "${var.name}-s3" })
}

# What reaches the hosts: clients, each other, and SSH from the bastion.
locals {
  cluster_ports = {
    http        = 9644
    peer        = 9645
    etcd_client = 2379
    etcd_peer   = 2380
  }
  client_ports = { for pair in setproduct(["9092", "9644"], concat([var.vpc_cidr], var.client_cidrs)) : "${pair[0]}-${pair[1]}" => { port = tonumber(pair[0]), cidr = pair[1] } }
}

resource "aws_security_group" "host" {
  name        = "${var.name}-host"
  description = "Hosts of the Varve cluster ${var.name}"
  vpc_id      = aws_vpc.this.id
  tags        = merge(local.tags, { Name = "${var.name}-host" })
}

resource "aws_vpc_security_group_ingress_rule" "cluster" {
  for_each                     = local.cluster_ports
  security_group_id            = aws_security_group.host.id
  description                  = "each other: ${each.key}"
  referenced_security_group_id = aws_security_group.host.id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}

resource "aws_vpc_security_group_ingress_rule" "client" {
  for_each          = local.client_ports
  security_group_id = aws_security_group.host.id
  description       = "clients"
  cidr_ipv4         = each.value.cidr
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
}

resource "aws_vpc_security_group_ingress_rule" "ssh" {
  security_group_id            = aws_security_group.host.id
  description                  = "SSH from the bastion"
  referenced_security_group_id = aws_security_group.bastion.id
  ip_protocol                  = "tcp"
  from_port                    = 22
  to_port                      = 22
}

resource "aws_vpc_security_group_egress_rule" "host" {
  security_group_id = aws_security_group.host.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}

resource "aws_security_group" "bastion" {
  name        = "${var.name}-bastion"
  description = "Bastion of the Varve cluster ${var.name}"
  vpc_id      = aws_vpc.this.id
  tags        = merge(local.tags, { Name = "${var.name}-bastion" })
}

resource "aws_vpc_security_group_ingress_rule" "bastion" {
  for_each          = toset(var.ssh_cidrs)
  security_group_id = aws_security_group.bastion.id
  description       = "SSH"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
}

resource "aws_vpc_security_group_egress_rule" "bastion" {
  security_group_id = aws_security_group.bastion.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}

# Names of the hosts, which stay when a host gets another address.
resource "aws_route53_zone" "this" {
  name = var.domain
  vpc {
    vpc_id = aws_vpc.this.id
  }
  tags = local.tags
}

resource "aws_route53_record" "host" {
  for_each = var.hosts
  zone_id  = aws_route53_zone.this.zone_id
  name     = local.internal[each.key]
  type     = "A"
  ttl      = 30
  records  = [aws_instance.host[each.key].private_ip]
}

resource "aws_route53_record" "bootstrap" {
  zone_id = aws_route53_zone.this.zone_id
  name    = local.bootstrap
  type    = "A"
  ttl     = 30
  records = [for name, h in local.agents : aws_instance.host[name].private_ip]
}
