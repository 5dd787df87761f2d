# The project, network, machines and load balancer of the quick start: what scripts/up declares.
terraform {
  required_providers {
    sluice = {
      source = "sluice/sluice"
    }
  }
}

# The controller and the token come from SLUICE_ADDR and SLUICE_TOKEN.
provider "sluice" {}

locals {
  machines = {
    web-1 = "198.18.16.11"
    web-2 = "198.18.16.12"
    web-3 = "198.18.16.13"
  }
}

resource "sluice_project" "quickstart" {
  name = "quickstart"
  user = "john"
}

resource "sluice_pool" "quickstart" {
  name       = "quickstart"
  project_id = sluice_project.quickstart.id
  cidr       = "198.18.16.0/24"
}

resource "sluice_shard" "web" {
  name           = "web"
  pool_id        = sluice_pool.quickstart.id
  size_addresses = 256
}

resource "sluice_network" "web" {
  name       = "web"
  project_id = sluice_project.quickstart.id
}

resource "sluice_shard_attachment" "web" {
  network_id = sluice_network.web.id
  shard_id   = sluice_shard.web.id
}

resource "sluice_machine" "web" {
  for_each = local.machines

  name       = each.key
  project_id = sluice_project.quickstart.id
  # By way of the attachment: the network has addresses to give once it has a shard.
  network_id = sluice_shard_attachment.web.network_id
  address    = each.value
  workloads  = [{ kind = "web", port = 80 }]
}

resource "sluice_load_balancer" "web" {
  name         = "web"
  project_id   = sluice_project.quickstart.id
  network_id   = sluice_shard_attachment.web.network_id
  traffic_type = "http"
  listeners    = [{ port = 80 }]
  members      = [for machine in sluice_machine.web : { machine_id = machine.id }]

  health_check = {
    protocol         = "http"
    path             = "/healthz"
    interval_seconds = 1
    timeout_seconds  = 1
  }
}

output "url" {
  value = sluice_load_balancer.web.url
}

output "vips" {
  value = sluice_load_balancer.web.vips
}
