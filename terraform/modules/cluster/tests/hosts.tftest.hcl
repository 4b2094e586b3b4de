# What the module makes of its inputs. 'plan' runs no provisioner; e2e/terraform applies for real.

variables {
  hosts = {
    a = { address = "10.0.0.1", rack = "r1", broker_id = 1, etcd = true, minio = true }
    b = { address = "10.0.0.2", rack = "r2", broker_id = 2, etcd = true, internal = "b.internal", advertised = "b.example" }
    c = { address = "10.0.0.3", rack = "r3", broker_id = 3, etcd = true, settings = { "memory" = "2GiB" } }
  }
  varve_package = { url = "https://packages.example/varve_1.0.0-1_amd64.deb", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
  etcd_binary   = { url = "https://packages.example/etcd.tar.gz", sha256 = "1111111111111111111111111111111111111111111111111111111111111111" }
  minio_binary  = { url = "https://packages.example/minio", sha256 = "2222222222222222222222222222222222222222222222222222222222222222" }
  settings      = { "memory" = "1GiB", "log.level" = "warn" }
  secrets_dir   = "secrets"
}

run "configuration" {
  command = plan

  assert {
    condition     = yamldecode(local.configuration["b"]).listeners[0].advertised == "b.example:9092"
    error_message = "clients must be told the advertised name"
  }
  assert {
    condition     = yamldecode(local.configuration["b"]).peer.advertised == "b.internal:9645"
    error_message = "other agents use the internal name"
  }
  assert {
    condition     = yamldecode(local.configuration["a"]).etcd.endpoints == ["https://10.0.0.1:2379", "https://b.internal:2379", "https://10.0.0.3:2379"]
    error_message = "the endpoints of etcd are those of its hosts"
  }
  assert {
    condition     = yamldecode(local.configuration["c"]).replication.quorum == 2 && yamldecode(local.configuration["c"]).store.endpoint == "https://10.0.0.1:9000"
    error_message = "three agents replicate, and use the host with MinIO"
  }
  assert {
    condition     = local.environment["a"] == "VARVE_LOG_LEVEL='warn'\nVARVE_MEMORY='1GiB'\n" && strcontains(local.environment["c"], "VARVE_MEMORY='2GiB'")
    error_message = "settings are variables, a host's own over those of all"
  }
  assert {
    condition     = local.first == "a" && local.etcd_environment["b"].ETCD_INITIAL_CLUSTER == "a=https://10.0.0.1:2380,b=https://b.internal:2380,c=https://10.0.0.3:2380"
    error_message = "etcd's servers know each other"
  }
}

# A machine made anew behind its address is another one. Without machine, the address says it alone, as it did before there was machine.
run "made_anew" {
  command = plan
  variables {
    hosts = {
      a = { address = "10.0.0.1", broker_id = 1, etcd = true, minio = true, machine = "i-1" }
      b = { address = "10.0.0.2", etcd = false }
    }
  }
  assert {
    condition     = terraform_data.host["a"].triggers_replace == "10.0.0.1 i-1" && terraform_data.host["b"].triggers_replace == "10.0.0.2"
    error_message = "the host is the machine, and the address"
  }
}

run "one_machine" {
  command = plan
  variables {
    hosts = { here = { address = "10.0.0.1", broker_id = 1, etcd = true, minio = true } }
  }
  assert {
    condition     = yamldecode(local.configuration["here"]).replication.factor == 1
    error_message = "one agent alone must not wait for others"
  }
}

run "what_exists_already" {
  command = plan
  variables {
    hosts = {
      a = { address = "10.0.0.1", broker_id = 1 }
      b = { address = "10.0.0.2", broker_id = 2 }
      c = { address = "10.0.0.3", broker_id = 3 }
    }
    etcd_endpoints = ["http://etcd.example:2379"]
    store          = { driver = "aws", bucket = "records", region = "eu-central-1" }
  }
  assert {
    condition     = yamldecode(local.configuration["a"]).store == { driver = "aws", bucket = "records", region = "eu-central-1", path_style = false }
    error_message = "a bucket that exists is taken as it is given, without keys by AWS's default chain"
  }
  assert {
    condition     = !can(yamldecode(local.configuration["a"]).etcd.tls) && length(terraform_data.etcd) == 0 && length(terraform_data.minio) == 0
    error_message = "nothing is installed for an etcd and a bucket that exist"
  }
}

run "two_agents" {
  command         = plan
  expect_failures = [var.hosts]
  variables {
    hosts = {
      a = { address = "10.0.0.1", broker_id = 1, etcd = true, minio = true }
      b = { address = "10.0.0.2", broker_id = 2 }
    }
  }
}

run "the_same_number_twice" {
  command         = plan
  expect_failures = [var.hosts]
  variables {
    hosts = {
      a = { address = "10.0.0.1", broker_id = 1, etcd = true, minio = true }
      b = { address = "10.0.0.2", broker_id = 2 }
      c = { address = "10.0.0.3", broker_id = 2 }
    }
  }
}

run "a_url_without_its_sum" {
  command         = plan
  expect_failures = [var.varve_package]
  variables {
    varve_package = { url = "https://packages.example/varve.deb" }
  }
}

run "no_bucket" {
  command         = plan
  expect_failures = [var.store]
  variables {
    hosts = { a = { address = "10.0.0.1", broker_id = 1, etcd = true } }
  }
}

run "a_setting_with_a_quote" {
  command         = plan
  expect_failures = [var.settings]
  variables {
    settings = { "rack" = "it's" }
  }
}

# Of three etcd servers one would be left, without a majority.
run "fewer_etcd_servers" {
  command         = plan
  expect_failures = [terraform_data.cluster]
  override_resource {
    target          = terraform_data.placed
    override_during = plan
    values          = { output = "{\"etcd\":{\"a\":[\"10.0.0.1\",\"10.0.0.1\"],\"b\":[\"10.0.0.2\",\"10.0.0.2\"],\"c\":[\"10.0.0.3\",\"10.0.0.3\"]},\"minio\":{\"a\":[\"10.0.0.1\",\"10.0.0.1\"]}}" }
  }
  variables {
    hosts = { a = { address = "10.0.0.1", broker_id = 1, etcd = true, minio = true } }
  }
}

# MinIO has the records.
run "another_host_for_minio" {
  command         = plan
  expect_failures = [terraform_data.cluster]
  override_resource {
    target          = terraform_data.placed
    override_during = plan
    values          = { output = "{\"etcd\":{\"a\":[\"10.0.0.1\",\"10.0.0.1\"]},\"minio\":{\"a\":[\"10.0.0.1\",\"10.0.0.1\"]}}" }
  }
  variables {
    hosts = { a = { address = "10.0.0.9", broker_id = 1, etcd = true, minio = true } }
  }
}

# Neither is a machine that was made anew behind the address the one with the data.
run "another_machine_for_etcd" {
  command         = plan
  expect_failures = [terraform_data.cluster]
  override_resource {
    target          = terraform_data.placed
    override_during = plan
    values          = { output = "{\"etcd\":{\"a\":[\"10.0.0.1\",\"10.0.0.1\",\"i-1\"]},\"minio\":{\"a\":[\"10.0.0.1\",\"10.0.0.1\",\"i-1\"]}}" }
  }
  variables {
    hosts = { a = { address = "10.0.0.1", broker_id = 1, etcd = true, minio = true, machine = "i-2" } }
  }
}

run "the_same_places" {
  command = plan
  override_resource {
    target          = terraform_data.placed
    override_during = plan
    values          = { output = "{\"etcd\":{\"a\":[\"10.0.0.1\",\"10.0.0.1\"]},\"minio\":{\"a\":[\"10.0.0.1\",\"10.0.0.1\"]}}" }
  }
  variables {
    hosts = { a = { address = "10.0.0.1", broker_id = 1, etcd = true, minio = true } }
  }
}
