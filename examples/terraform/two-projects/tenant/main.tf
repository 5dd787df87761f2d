# One tenant. Names are unique for each owner, and addresses for each project: so nothing here is told from another's.

terraform {
  required_providers {
    sluice = { source = "sluice/sluice" }
  }
}

variable "owner" {
  type = string
}

resource "sluice_project" "shop" {
  name = "shop"
  user = var.owner
}

resource "sluice_pool" "shop" {
  name       = "shop"
  project_id = sluice_project.shop.id
  cidr       = "10.20.0.0/24"
}

resource "sluice_network" "front" {
  name       = "front"
  project_id = sluice_project.shop.id
}

resource "sluice_shard" "front" {
  name    = "front"
  pool_id = sluice_pool.shop.id
  cidr    = "10.20.0.0/24"
}

resource "sluice_shard_attachment" "front" {
  network_id = sluice_network.front.id
  shard_id   = sluice_shard.front.id
}

resource "sluice_machine" "web" {
  name       = "web"
  project_id = sluice_project.shop.id
  network_id = sluice_shard_attachment.front.network_id
  address    = "10.20.0.11"
  workloads  = [{ kind = "web", port = 80 }]
}

resource "sluice_load_balancer" "web" {
  name           = "web"
  project_id     = sluice_project.shop.id
  network_id     = sluice_shard_attachment.front.network_id
  traffic_type   = "http"
  listeners      = [{ port = 80 }]
  members        = [{ machine_id = sluice_machine.web.id }]
  instance_count = 1
}

output "url" {
  value = sluice_load_balancer.web.url
}
