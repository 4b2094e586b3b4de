# What the module makes of its inputs. e2e/terraform boots hosts with it.

variables {
  hosts = {
    a = { rack = "r1", broker_id = 1, etcd = true, disks = { varve = "/dev/disk/by-id/*vol1*" } }
    b = { rack = "r2", broker_id = 2, etcd = true }
    c = { rack = "r3", broker_id = 3, etcd = true }
    m = { minio = true }
  }
  varve_package = { url = "https://packages.example/varve_1.0.0-1_amd64.deb", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
}

run "preparation" {
  command = plan

  assert {
    condition     = local.steps["a"] == ["disk '/dev/disk/by-id/*vol1*' varve", "package 0000000000000000000000000000000000000000000000000000000000000000 'https://packages.example/varve_1.0.0-1_amd64.deb' deb"]
    error_message = "without secrets a host gets its disk and the package, and nothing is started"
  }
  assert {
    condition     = length(local.steps["m"]) == 0
    error_message = "a host with MinIO alone needs no package"
  }
  assert {
    condition     = startswith(nonsensitive(output.user_data["a"]), "#cloud-config\n") && length(yamldecode(nonsensitive(output.user_data["a"])).write_files) == 5
    error_message = "user data is a cloud-config with the steps and the scripts that they need"
  }
  assert {
    condition     = length(nonsensitive(output.user_data_base64["a"])) < 16384 / 3 * 4
    error_message = "user data is within AWS's limit"
  }
}

run "a_disk_that_is_no_device" {
  command         = plan
  expect_failures = [var.hosts]
  variables {
    hosts = { a = { broker_id = 1, disks = { varve = "/etc/passwd" } } }
  }
}

run "a_disk_with_a_command" {
  command         = plan
  expect_failures = [var.hosts]
  variables {
    hosts = { a = { broker_id = 1, disks = { varve = "/dev/$(reboot)" } } }
  }
}

run "secrets_that_are_not_there" {
  command         = plan
  expect_failures = [var.hosts]
  variables {
    hosts          = { a = { internal = "10.0.0.1", broker_id = 1 } }
    secrets_dir    = "./nothing"
    etcd_endpoints = ["https://etcd.example:2379"]
    store          = { driver = "aws", bucket = "records" }
  }
}
