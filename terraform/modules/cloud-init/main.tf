locals {
  hosts = { for name, h in var.hosts : name => merge(h, {
    advertised = h.advertised == null ? h.internal : h.advertised
  }) }
  agents = { for name, h in local.hosts : name => h if h.broker_id != null }
  first  = length(local.agents) == 0 ? "" : keys(local.agents)[index(values(local.agents)[*].broker_id, min(values(local.agents)[*].broker_id...))]

  home    = "/var/lib/varve-init"
  cluster = "${path.module}/../cluster/scripts"
  scripts = merge(
    { for f in ["lib.sh", "package.sh", "etcd.sh", "minio.sh", "agent.sh", "topic.sh"] : "scripts/${f}" => file("${local.cluster}/${f}") },
    { "scripts/disk.sh" = file("${path.module}/scripts/disk.sh"), "first-boot.sh" = file("${path.module}/scripts/first-boot.sh") },
  )

  # Without secrets nothing is started: modules/cluster brings them by SSH.
  start = var.secrets_dir != null
  secrets = { for name, h in local.hosts : name => merge([for server in ["etcd", "minio", "agent"] : {
    for f in fileset("${coalesce(var.secrets_dir, path.module)}/hosts/${name}/${server}", "*") : "${server}/secrets/${f}" => sensitive(file("${var.secrets_dir}/hosts/${name}/${server}/${f}"))
    } if local.start && local.runs[name][server]]...
  ) }
  # Those of an etcd and a bucket that exist already.
  given = { for f, path in {
    "etcd-ca.crt"  = try(var.etcd_tls.ca_file, null)
    "etcd.crt"     = try(var.etcd_tls.cert_file, null)
    "etcd.key"     = try(var.etcd_tls.key_file, null)
    access-key     = try(var.store.access_key_file, null)
    secret-key     = try(var.store.secret_key_file, null)
    "store-ca.crt" = try(var.store.ca_file, null)
  } : "agent/secrets/${f}" => sensitive(file(path)) if path != null && local.start }
  runs = { for name, h in local.hosts : name => { etcd = h.etcd, minio = h.minio, agent = h.broker_id != null } }

  files = { for name, h in local.hosts : name => merge(
    { steps = join("", [for s in local.steps[name] : "${s}\n"]) },
    { for f, text in local.scripts : f => text if local.start || contains(["first-boot.sh", "scripts/lib.sh", "scripts/disk.sh", "scripts/package.sh"], f) },
    local.secrets[name],
    local.start && h.etcd ? {
      "etcd/environment" = join("", [for k, v in module.files[0].etcd_environment[name] : "${k}='${v}'\n"])
      "etcd/turn.yaml"   = module.files[0].turn
    } : {},
    local.start && h.broker_id != null ? merge(local.given, {
      "agent/varve.yaml"   = module.files[0].configuration[name]
      "agent/environment"  = module.files[0].environment[name]
      "agent/profile.yaml" = module.files[0].profile[name]
    }) : {},
  ) }

  steps = { for name, h in local.hosts : name => concat(
    [for unit, device in h.disks : "disk '${device}' ${unit}"],
    var.varve_package == null || !(h.broker_id != null || h.etcd) ? [] : ["package ${var.varve_package.sha256} '${var.varve_package.url}' ${endswith(var.varve_package.url, ".rpm") ? "rpm" : "deb"}"],
    local.start && h.etcd ? ["etcd ${var.etcd_binary.sha256} '${var.etcd_binary.url}' ${length([for x in local.hosts : x if x.etcd])}"] : [],
    local.start && h.minio ? ["minio ${var.minio_binary.sha256} '${var.minio_binary.url}' ${var.ports.minio}"] : [],
    local.start && h.broker_id != null ? ["agent ${var.health_timeout}"] : [],
    local.start && name == local.first && length(var.topics) > 0 ? concat(["health ${var.health_timeout}"], [
      for topic, t in var.topics : "topic '${topic}' ${t.partitions} ${join(" ", [for k, v in t.settings : "'${k}=${v}'"])}"
    ]) : [],
  ) }

  user_data = { for name, h in local.hosts : name => "#cloud-config\n${yamlencode(merge(
    { write_files = [for f, text in local.files[name] : { path = "${local.home}/${f}", permissions = "0600", content = text }] },
    { runcmd = [["chmod", "0700", local.home], ["sh", "${local.home}/first-boot.sh"]] },
    length(var.ssh_authorized_keys) == 0 ? {} : { ssh_authorized_keys = var.ssh_authorized_keys },
  ))}" }
}

module "files" {
  source = "../cluster/files"
  count  = local.start ? 1 : 0

  hosts = { for name, h in local.hosts : name => {
    internal   = h.internal
    advertised = h.advertised
    rack       = h.rack
    broker_id  = h.broker_id
    etcd       = h.etcd
    minio      = h.minio
    settings   = h.settings
  } }
  etcd_endpoints = var.etcd_endpoints
  etcd_tls       = var.etcd_tls
  etcd_prefix    = var.etcd_prefix
  store          = var.store
  settings       = var.settings
  admin_user     = var.admin_user
  ports          = var.ports
}
