# A web service: machines on a private network, and a load balancer with two instances in front of them.

terraform {
  required_version = ">= 1.8"
  required_providers {
    sluice = {
      source  = "sluice/sluice"
      version = "~> 0.1"
    }
  }
}

# Where the controller is and who asks: SLUICE_ADDR and SLUICE_TOKEN.
provider "sluice" {}

variable "machines" {
  description = "How many machines serve."
  type        = number
  default     = 2
}

resource "sluice_project" "shop" {
  name = "web-service"
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
  name           = "front"
  pool_id        = sluice_pool.shop.id
  size_addresses = 256
}

resource "sluice_shard_attachment" "front" {
  network_id = sluice_network.front.id
  shard_id   = sluice_shard.front.id
}

resource "sluice_machine" "web" {
  count = var.machines

  name       = "web-${count.index + 1}"
  project_id = sluice_project.shop.id
  # Through the attachment: there are addresses once the shard is on the network, and as long as it is.
  network_id = sluice_shard_attachment.front.network_id
  workloads  = [{ kind = "web", port = 80 }]
}

resource "sluice_load_balancer" "web" {
  name         = "web"
  project_id   = sluice_project.shop.id
  network_id   = sluice_shard_attachment.front.network_id
  traffic_type = "http"
  listeners    = [{ port = 80 }]
  members      = [for machine in sluice_machine.web : { machine_id = machine.id }]

  health_check = {
    protocol         = "http"
    path             = "/"
    interval_seconds = 1
    timeout_seconds  = 1
  }
}

output "url" {
  description = "Where clients ask."
  value       = sluice_load_balancer.web.url
}

output "vips" {
  description = "The addresses on the uplink, each with an instance that serves it and another that would."
  value       = sluice_load_balancer.web.vips
}
