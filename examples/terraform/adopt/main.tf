# Objects that were made by hand, by the API or by the command line, taken into Terraform's care as they are.

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

variable "ids" {
  description = "Of what is there: `sluice project list` and so on show them."
  type = object({
    project       = string
    pool          = string
    shard         = string
    network       = string
    machine       = string
    load_balancer = string
  })
}

variable "drain_seconds" {
  type    = number
  default = 30
}

import {
  to = sluice_project.shop
  id = var.ids.project
}

import {
  to = sluice_pool.shop
  id = var.ids.pool
}

import {
  to = sluice_shard.front
  id = var.ids.shard
}

import {
  to = sluice_network.front
  id = var.ids.network
}

import {
  to = sluice_shard_attachment.front
  id = var.ids.shard
}

import {
  to = sluice_machine.web
  id = var.ids.machine
}

import {
  to = sluice_load_balancer.web
  id = var.ids.load_balancer
}

resource "sluice_project" "shop" {
  name = "adopted"
  user = "jane"
}

resource "sluice_pool" "shop" {
  name       = "shop"
  project_id = sluice_project.shop.id
  cidr       = "10.20.0.0/24"
}

resource "sluice_shard" "front" {
  name    = "front"
  pool_id = sluice_pool.shop.id
  cidr    = "10.20.0.0/24"
}

resource "sluice_network" "front" {
  name       = "front"
  project_id = sluice_project.shop.id
}

resource "sluice_shard_attachment" "front" {
  network_id = sluice_network.front.id
  shard_id   = sluice_shard.front.id
}

resource "sluice_machine" "web" {
  name       = "web"
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
  members      = [{ machine_id = sluice_machine.web.id }]

  # Of the traffic; what is not said here is as ever.
  timeouts = { drain_seconds = var.drain_seconds }
}
