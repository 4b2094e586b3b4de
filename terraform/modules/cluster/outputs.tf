# Files with which clients connect, on this machine.
resource "terraform_data" "client" {
  input = {
    bootstrap = join(",", [for h in local.agents : "${h.advertised}:${var.ports.kafka}"])
    http      = local.https[local.first]
  }
  triggers_replace = {
    secrets   = terraform_data.secrets.id
    bootstrap = join(",", [for h in local.agents : "${h.advertised}:${var.ports.kafka}"])
  }
  depends_on = [terraform_data.ready]

  provisioner "local-exec" {
    command     = "sh \"$SCRIPT\" client \"$DIR\" \"$ADMIN\" \"$BOOTSTRAP\" \"$HTTP\""
    environment = { SCRIPT = "${local.scripts}/secrets.sh", DIR = local.secrets_dir, ADMIN = var.admin_user, BOOTSTRAP = self.input.bootstrap, HTTP = self.input.http }
  }
}

output "bootstrap_servers" {
  description = "Where clients connect, for `bootstrap.servers`."
  value       = terraform_data.client.output.bootstrap
}

output "ca_file" {
  description = "The authority of the brokers' certificates, in PEM."
  value       = "${terraform_data.secrets.output.dir}/cluster/ca.crt"
}

output "profile_file" {
  description = "A profile of the first user, for the program's own commands: `VARVE_PROFILE`. It has the password."
  value       = "${terraform_data.secrets.output.dir}/profile.yaml"
}

output "client_properties_file" {
  description = "The same for Kafka's tools (`--command-config`)."
  value       = "${terraform_data.secrets.output.dir}/client.properties"
}

output "kcat_file" {
  description = "The same for librdkafka (`kcat -F`)."
  value       = "${terraform_data.secrets.output.dir}/kcat.conf"
}

output "http_urls" {
  description = "The agents' HTTP, for Prometheus and operators."
  value       = values(local.https)
}
