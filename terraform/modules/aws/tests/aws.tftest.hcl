# What the module makes of its inputs, with a provider that makes nothing. Terraform 1.11 or later runs it.

mock_provider "aws" {
  override_during = plan
  mock_resource "aws_ebs_volume" {
    defaults = { id = "vol-0123abcd" }
  }
  mock_resource "aws_s3_bucket" {
    defaults = { id = "varve-records", arn = "arn:aws:s3:::varve-records" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/varve-agent" }
  }
}

override_resource {
  target          = aws_subnet.private["eu-central-1c"]
  override_during = plan
  values          = { id = "subnet-c" }
}

variables {
  region = "eu-central-1"
  zones  = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
  hosts = {
    a = { zone = "eu-central-1a", broker_id = 1, etcd = true }
    b = { zone = "eu-central-1b", broker_id = 2, etcd = true }
    c = { zone = "eu-central-1c", broker_id = 3, etcd = true, instance_type = "m6i.xlarge", disk_gb = 500 }
  }
  ssh_cidrs      = ["198.51.100.0/24"]
  ssh_public_key = "ssh-ed25519 AAAA"
  varve_package  = { url = "https://packages.example/varve_1.0.0-1_amd64.deb", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
  etcd_binary    = { url = "https://packages.example/etcd.tar.gz", sha256 = "1111111111111111111111111111111111111111111111111111111111111111" }
  secrets_dir    = "secrets"
}

run "three_zones" {
  command = plan

  assert {
    condition     = aws_instance.host["c"].subnet_id == "subnet-c" && aws_subnet.private["eu-central-1c"].cidr_block == "10.20.2.0/24" && aws_ebs_volume.varve["c"].availability_zone == "eu-central-1c"
    error_message = "a host and its disk are in its zone"
  }
  assert {
    condition     = aws_instance.host["c"].instance_type == "m6i.xlarge" && aws_ebs_volume.varve["c"].size == 500 && aws_ebs_volume.varve["a"].size == 100
    error_message = "a host's own type and size win"
  }
  assert {
    condition     = alltrue([for h in aws_instance.host : h.metadata_options[0].http_tokens == "required"]) && alltrue([for v in concat(values(aws_ebs_volume.varve), values(aws_ebs_volume.etcd)) : v.encrypted])
    error_message = "the metadata service wants tokens, and disks are encrypted"
  }
  assert {
    condition     = output.http_urls == ["https://a.varve.internal:9644", "https://b.varve.internal:9644", "https://c.varve.internal:9644"] && output.bootstrap_servers == "bootstrap.varve.internal:9092"
    error_message = "hosts are known by their names in DNS"
  }
  assert {
    condition     = one(aws_s3_bucket_lifecycle_configuration.this.rule).abort_incomplete_multipart_upload[0].days_after_initiation == 7
    error_message = "parts of uploads that were aborted go away"
  }
  assert {
    condition     = alltrue([for s in jsondecode(aws_iam_role_policy.agent.policy).Statement : startswith(s.Resource, "arn:aws:s3:::varve-records")])
    error_message = "the role may use this bucket alone"
  }
  assert {
    condition     = alltrue([for r in aws_vpc_security_group_ingress_rule.client : r.cidr_ipv4 == "10.20.0.0/16"]) && alltrue([for r in aws_vpc_security_group_ingress_rule.bastion : r.cidr_ipv4 == "198.51.100.0/24"])
    error_message = "nobody else reaches the hosts"
  }
}

# A zone at the end changes no network that is there.
run "one_more_zone" {
  command = plan
  variables {
    zones    = ["eu-central-1a", "eu-central-1b", "eu-central-1c", "eu-central-1d"]
    internet = false
  }
  assert {
    condition     = aws_subnet.private["eu-central-1a"].cidr_block == "10.20.0.0/24" && aws_subnet.private["eu-central-1d"].cidr_block == "10.20.3.0/24" && length(aws_nat_gateway.this) == 0
    error_message = "networks keep their addresses, and without internet there is no NAT gateway"
  }
}

run "a_zone_that_is_not_there" {
  command         = plan
  expect_failures = [var.hosts]
  variables {
    hosts = { a = { zone = "eu-west-1a", broker_id = 1 } }
  }
}
