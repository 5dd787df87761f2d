# Two groups of machines behind one load balancer; what is switched is weights, without a reload and without a lost request.

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

variable "green_percent" {
  description = "Of 100 requests, how many go to green."
  type        = number
  default     = 0

  validation {
    condition     = var.green_percent >= 0 && var.green_percent <= 100
    error_message = "It is a share: 0 to 100."
  }
}

locals {
  machines = {
    blue  = 2
    green = 2
  }
  # Both groups have as many machines, so a machine's weight is its group's share.
  weights = {
    blue  = 100 - var.green_percent
    green = var.green_percent
  }
  members = flatten([
    for color, count in local.machines : [for index in range(count) : "${color}-${index + 1}"]
  ])
}

resource "sluice_project" "shop" {
  name = "blue-green"
  user = "jane"
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
  cidr    = sluice_pool.shop.cidr
}

resource "sluice_shard_attachment" "front" {
  network_id = sluice_network.front.id
  shard_id   = sluice_shard.front.id
}

resource "sluice_machine" "web" {
  for_each = toset(local.members)

  name       = each.key
  project_id = sluice_project.shop.id
  network_id = sluice_shard_attachment.front.network_id
  workloads  = [{ kind = "web", port = 80 }]
}

resource "sluice_load_balancer" "web" {
  name         = "web"
  project_id   = sluice_project.shop.id
  network_id   = sluice_shard_attachment.front.network_id
  traffic_type = "http"
  listeners    = [{ port = 80 }]

  members = [for name in local.members : {
    machine_id = sluice_machine.web[name].id
    weight     = local.weights[split("-", name)[0]]
  }]
}

output "url" {
  value = sluice_load_balancer.web.url
}

output "vips" {
  value = sluice_load_balancer.web.vips
}
