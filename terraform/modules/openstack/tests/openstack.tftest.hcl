# What the module makes of its inputs, with a provider that makes nothing. Terraform 1.11 or later runs it.

mock_provider "openstack" {
  override_during = plan
  mock_resource "openstack_blockstorage_volume_v3" {
    defaults = { id = "0f3b8a52-7c1d-4e2a-9b6e-aabbccddeeff" }
  }
  mock_resource "openstack_networking_port_v2" {
    defaults = { all_fixed_ips = ["10.20.0.7"] }
  }
}

variables {
  hosts = {
    a = { zone = "nova-1", broker_id = 1, etcd = true }
    b = { zone = "nova-2", broker_id = 2, etcd = true }
    c = { zone = "nova-3", broker_id = 3, etcd = true, flavor = "large", disk_gb = 500 }
  }
  flavor              = "medium"
  bastion_flavor      = "small"
  external_network_id = "external"
  floating_ip_pool    = "public"
  ssh_cidrs           = ["198.51.100.0/24"]
  ssh_public_key      = "ssh-ed25519 AAAA"
  store = {
    bucket          = "records"
    endpoint        = "https://s3.cloud.example"
    access_key_file = "tests/openstack.tftest.hcl" # some files that are there
    secret_key_file = "tests/openstack.tftest.hcl"
  }
  varve_package = { url = "https://packages.example/varve_1.0.0-1_amd64.deb", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
  etcd_binary   = { url = "https://packages.example/etcd.tar.gz", sha256 = "1111111111111111111111111111111111111111111111111111111111111111" }
  secrets_dir   = "secrets"
}

run "addresses" {
  command = plan

  assert {
    condition     = openstack_compute_instance_v2.host["c"].flavor_name == "large" && openstack_blockstorage_volume_v3.varve["c"].size == 500 && openstack_blockstorage_volume_v3.varve["c"].availability_zone == "nova-3"
    error_message = "a host's own flavor and size win, and its disk is in its zone"
  }
  assert {
    condition     = local.device["a"].varve == "/dev/disk/by-id/*0f3b8a52-7c1d-4e2a-9*"
    error_message = "a disk is known by the 20 letters of its id that virtio shows"
  }
  assert {
    condition     = output.http_urls[0] == "https://10.20.0.7:9644" && length(openstack_dns_recordset_v2.host) == 0
    error_message = "without DNS hosts are known by their addresses"
  }
  assert {
    condition     = alltrue([for r in openstack_networking_secgroup_rule_v2.client : r.remote_ip_prefix == "10.20.0.0/24"]) && alltrue([for r in openstack_networking_secgroup_rule_v2.bastion : r.remote_ip_prefix == "198.51.100.0/24"])
    error_message = "nobody else reaches the hosts"
  }
}

run "names" {
  command = plan
  variables {
    dns         = { zone_id = "zone", domain = "varve.example." }
    make_bucket = false
  }
  assert {
    condition     = output.http_urls[0] == "https://a.varve.example:9644" && output.bootstrap_servers == "bootstrap.varve.example:9092" && openstack_dns_recordset_v2.bootstrap[0].name == "bootstrap.varve.example."
    error_message = "with DNS hosts are known by their names"
  }
  assert {
    condition     = length(openstack_objectstorage_container_v1.this) == 0
    error_message = "a bucket that exists is not made"
  }
}
