# A network that grows by a shard, and whose old shard is then emptied and given back while its machines serve on.

terraform {
  required_version = ">= 1.8"
  required_providers {
    sluice = {
      source  = "sluice/sluice"
      version = "~> 0.1"
    }
  }
}

provider "sluice" {}

variable "shards" {
  description = "The network's shards, each by a name of its own. Taking one away moves who is in it to the others."
  type        = set(string)
  default     = ["old"]
}

variable "machines" {
  type    = number
  default = 2
}

resource "sluice_project" "shop" {
  name = "grow-and-evacuate"
  user = "jane"
}

resource "sluice_pool" "shop" {
  name       = "shop"
  project_id = sluice_project.shop.id
  cidr       = "10.20.0.0/20"
}

resource "sluice_network" "front" {
  name       = "front"
  project_id = sluice_project.shop.id
}

resource "sluice_shard" "front" {
  for_each = var.shards

  name           = each.key
  pool_id        = sluice_pool.shop.id
  size_addresses = 64
}

resource "sluice_shard_attachment" "front" {
  for_each = var.shards

  network_id = sluice_network.front.id
  shard_id   = sluice_shard.front[each.key].id

  # Once the new address answers, connections to the old one are waited for so long.
  migration = { drain_seconds = 2 }
}

resource "sluice_machine" "web" {
  count = var.machines

  name       = "web-${count.index + 1}"
  project_id = sluice_project.shop.id
  network_id = sluice_network.front.id
  workloads  = [{ kind = "web", port = 80 }]

  # There are addresses once the shards are on the network.
  depends_on = [sluice_shard_attachment.front]
}

resource "sluice_load_balancer" "web" {
  name         = "web"
  project_id   = sluice_project.shop.id
  network_id   = sluice_network.front.id
  traffic_type = "http"
  listeners    = [{ port = 80 }]
  members      = [for machine in sluice_machine.web : { machine_id = machine.id }]

  depends_on = [sluice_shard_attachment.front]
}

output "shards" {
  value = { for name, shard in sluice_shard.front : name => shard.cidr }
}

output "addresses" {
  value = { for machine in sluice_machine.web : machine.name => machine.addresses }
}

output "url" {
  value = sluice_load_balancer.web.url
}

output "vips" {
  value = sluice_load_balancer.web.vips
}
