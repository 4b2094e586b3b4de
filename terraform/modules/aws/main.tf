locals {
  agents    = { for name, h in var.hosts : name => h if h.broker_id != null }
  etcd      = { for name, h in var.hosts : name => h if h.etcd }
  internal  = { for name in keys(var.hosts) : name => "${name}.${var.domain}" }
  bootstrap = "bootstrap.${var.domain}"
  image_id  = var.image_id == null ? data.aws_ami.debian[0].id : var.image_id
  # Instances show EBS volumes by their numbers.
  device = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_"
}

data "aws_ami" "debian" {
  count       = var.image_id == null ? 1 : 0
  owners      = ["136693071363"] # Debian
  most_recent = true
  filter {
    name   = "name"
    values = ["debian-${var.debian.version}-${var.debian.architecture}-*"]
  }
  filter {
    name   = "virtualization-type"
    values = ["hvm"]
  }
}

resource "aws_key_pair" "this" {
  key_name_prefix = "${var.name}-"
  public_key      = var.ssh_public_key
  tags            = local.tags
}

resource "aws_ebs_volume" "varve" {
  for_each          = local.agents
  availability_zone = each.value.zone
  size              = coalesce(each.value.disk_gb, var.disk.gb)
  type              = var.disk.type
  iops              = var.disk.type == "gp3" ? var.disk.iops : null
  throughput        = var.disk.type == "gp3" ? var.disk.throughput : null
  encrypted         = true
  tags              = merge(local.tags, { Name = "${var.name}-${each.key}-varve" })
}

resource "aws_ebs_volume" "etcd" {
  for_each          = local.etcd
  availability_zone = each.value.zone
  size              = var.etcd_disk_gb
  type              = "gp3"
  encrypted         = true
  tags              = merge(local.tags, { Name = "${var.name}-${each.key}-etcd" })
}

module "cloud_init" {
  source = "../cloud-init"

  hosts = { for name, h in var.hosts : name => {
    broker_id = h.broker_id
    etcd      = h.etcd
    disks = merge(
      h.broker_id == null ? {} : { varve = "${local.device}${replace(aws_ebs_volume.varve[name].id, "-", "")}*" },
      h.etcd ? { varve-etcd = "${local.device}${replace(aws_ebs_volume.etcd[name].id, "-", "")}*" } : {},
    )
  } }
}

resource "aws_instance" "host" {
  for_each               = var.hosts
  ami                    = local.image_id
  instance_type          = coalesce(each.value.instance_type, var.instance_type)
  subnet_id              = aws_subnet.private[each.value.zone].id
  vpc_security_group_ids = [aws_security_group.host.id]
  key_name               = aws_key_pair.this.key_name
  iam_instance_profile   = each.value.broker_id == null ? null : aws_iam_instance_profile.agent.name
  user_data_base64       = module.cloud_init.user_data_base64[each.key]
  tags                   = merge(local.tags, { Name = "${var.name}-${each.key}" })

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  root_block_device {
    encrypted   = true
    volume_type = "gp3"
  }
  lifecycle {
    ignore_changes = [ami, user_data_base64] # they are for new instances
  }
}

resource "aws_volume_attachment" "varve" {
  for_each                       = local.agents
  device_name                    = "/dev/sdf"
  volume_id                      = aws_ebs_volume.varve[each.key].id
  instance_id                    = aws_instance.host[each.key].id
  stop_instance_before_detaching = true
}

resource "aws_volume_attachment" "etcd" {
  for_each                       = local.etcd
  device_name                    = "/dev/sdg"
  volume_id                      = aws_ebs_volume.etcd[each.key].id
  instance_id                    = aws_instance.host[each.key].id
  stop_instance_before_detaching = true
}

resource "aws_instance" "bastion" {
  ami                    = local.image_id
  instance_type          = var.bastion_instance_type
  subnet_id              = aws_subnet.public.id
  vpc_security_group_ids = [aws_security_group.bastion.id]
  key_name               = aws_key_pair.this.key_name
  tags                   = merge(local.tags, { Name = "${var.name}-bastion" })

  metadata_options {
    http_tokens = "required"
  }
  root_block_device {
    encrypted   = true
    volume_type = "gp3"
  }
  lifecycle {
    ignore_changes = [ami]
  }
}

resource "aws_eip" "bastion" {
  domain     = "vpc"
  instance   = aws_instance.bastion.id
  tags       = merge(local.tags, { Name = "${var.name}-bastion" })
  depends_on = [aws_internet_gateway.this]
}

module "cluster" {
  source = "../cluster"

  hosts = { for name, h in var.hosts : name => {
    address          = aws_instance.host[name].private_ip
    machine          = aws_instance.host[name].id
    internal         = local.internal[name]
    names            = [local.bootstrap]
    rack             = h.zone
    user             = var.image_user
    private_key_file = var.private_key_file
    broker_id        = h.broker_id
    etcd             = h.etcd
    settings         = h.settings
  } }
  bastion = {
    address          = aws_eip.bastion.public_ip
    user             = var.image_user
    private_key_file = var.private_key_file
  }
  store = {
    driver = "aws"
    bucket = aws_s3_bucket.this.id
    region = var.region
  }
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
    aws_volume_attachment.varve, aws_volume_attachment.etcd, aws_route53_record.host, aws_route.public, aws_route.private,
    aws_route_table_association.public, aws_route_table_association.private, aws_vpc_endpoint.s3,
    aws_vpc_security_group_ingress_rule.cluster, aws_vpc_security_group_ingress_rule.ssh, aws_vpc_security_group_ingress_rule.bastion,
    aws_vpc_security_group_egress_rule.host, aws_vpc_security_group_egress_rule.bastion,
    aws_iam_role_policy.agent, aws_s3_bucket_policy.this, aws_s3_bucket_lifecycle_configuration.this,
  ]
}
