/** One configuration with every resource of the provider, and others that change each attribute that can change in place. */

import { createHash } from 'node:crypto'

/** What differs from one configuration to the next. */
export interface Wishes {
  readonly name: string
  readonly quota: string
  readonly policy: string
  readonly shard: string
  readonly workloads: string
  readonly traffic: string
  readonly members: string
  readonly member: string
  readonly host: string
  readonly migration: string
}

export const first: Wishes = {
  name: 'one',
  quota: '',
  policy: '',
  shard: '',
  workloads: 'workloads = [{ kind = "web", port = 80 }]',
  traffic: 'listeners = [{ port = 80 }]',
  members: '[{ machine_id = sluice_machine.web.id }]',
  member: 'address = "198.18.17.9"',
  host: '',
  migration: '',
}

export const second: Wishes = {
  name: 'two',
  quota: 'quota = { machines = 7, load_balancers = 9 }',
  policy:
    'address_policy = { quarantine_seconds = 5, allocation_order = "pack", reserved_ranges = [{ first = "198.18.16.200", last = "198.18.16.210" }] }',
  shard: 'reserved = true',
  workloads: 'workloads = [{ kind = "web", port = 80 }, { kind = "echo", port = 7 }]',
  traffic: `
    algorithm          = "least-connections"
    listeners          = [{ port = 80 }, { port = 8080, member_port = 80 }]
    health_check       = { protocol = "http", path = "/healthz", interval_seconds = 2, timeout_seconds = 1, expected_body = "ok" }
    timeouts           = { drain_seconds = 1, client_seconds = 20 }
    retries            = 1
    slow_start_seconds = 2
    sticky_sessions    = { by = "cookie" }
    limits             = { connections = 500 }
    logging            = { access = "on", sample = "1/10", client_address = "none" }
    forwarded_for      = false`,
  members: '[{ machine_id = sluice_machine.web.id, weight = 3 }, { url = "http://198.18.16.77:8080" }]',
  member: 'address = "198.18.17.10"\n  port = 81\n  weight = 0\n  draining = true',
  host: 'maintenance = true\n  labels = { room = "b" }',
  migration: 'migration = { mode = "restart", drain_seconds = 1 }',
}

export const third: Wishes = {
  ...second,
  name: 'three',
  quota: 'quota = { machines = 8 }',
  policy: '',
  shard: '',
  traffic: `
    listeners       = [{ port = 8080, member_port = 80 }]
    health_check    = { protocol = "tcp", unhealthy_threshold = 4 }
    sticky_sessions = { by = "source", idle_seconds = 60 }
    proxy_protocol  = { accept_from = ["198.18.0.0/24"] }
    instance_count  = 1`,
  members: '[{ address = "198.18.16.78", port = 88 }]',
  member: 'address = "198.18.17.10"\n  port = 82',
  host: 'labels = {}',
  migration: '',
}

/** A project of its own for each CLI, so that several are tried on one rack. */
export function describeEverything(cli: string, wishes: Wishes): string {
  const { name, quota, policy, shard, workloads, traffic, members, member, host, migration } = wishes
  return `
resource "sluice_project" "all" {
  name = "${cli} ${name}"
  user = "john"
  ${quota}
  ${policy.includes('reserved_ranges') ? '' : policy}
}
resource "sluice_pool" "all" {
  name       = "pool ${name}"
  project_id = sluice_project.all.id
  cidr       = "198.18.16.0/22"
}
resource "sluice_shard" "web" {
  name           = "web ${name}"
  pool_id        = sluice_pool.all.id
  size_addresses = 256
}
resource "sluice_shard" "spare" {
  pool_id        = sluice_pool.all.id
  cidr           = "198.18.19.0/24"
  ${shard}
}
resource "sluice_network" "web" {
  name       = "web ${name}"
  project_id = sluice_project.all.id
  ${policy}
}
resource "sluice_shard_attachment" "web" {
  network_id = sluice_network.web.id
  shard_id   = sluice_shard.web.id
  ${migration}
}
resource "sluice_machine" "web" {
  name       = "web-${name}"
  project_id = sluice_project.all.id
  network_id = sluice_shard_attachment.web.network_id
  ${workloads}
}
resource "sluice_load_balancer" "web" {
  name         = "web ${name}"
  project_id   = sluice_project.all.id
  network_id   = sluice_shard_attachment.web.network_id
  traffic_type = "http"
  members      = ${members}
  ${traffic}
}
resource "sluice_load_balancer" "open" {
  name         = "open"
  project_id   = sluice_project.all.id
  network_id   = sluice_shard_attachment.web.network_id
  traffic_type = "tcp"
  listeners    = [{ port = 90 }]
  instance_count = 1
}
resource "sluice_load_balancer_member" "one" {
  load_balancer_id = sluice_load_balancer.open.id
  ${member}
}
resource "sluice_host" "spare" {
  name = "spare-${cli}"
  ${host}
}
resource "sluice_token" "reader" {
  name       = "reader"
  project_id = sluice_project.all.id
  secret_wo  = "${secretOf(cli)}"
}
data "sluice_network" "web" {
  id = sluice_network.web.id
}
data "sluice_load_balancers" "all" {
  project_id = sluice_load_balancer.web.project_id
  depends_on = [sluice_load_balancer.open]
}
output "found" {
  value = [data.sluice_network.web.vni, length(data.sluice_load_balancers.all.ids)]
}
output "bearer_prefix" {
  value = sluice_token.reader.bearer_prefix
}
`
}

export const secretOf = (cli: string): string => createHash('sha256').update(cli).digest('hex')

/** Every resource of the configuration, with the name that its objects have in the API. */
export const everyResource = [
  'sluice_host.spare',
  'sluice_load_balancer.open',
  'sluice_load_balancer.web',
  'sluice_load_balancer_member.one',
  'sluice_machine.web',
  'sluice_network.web',
  'sluice_pool.all',
  'sluice_project.all',
  'sluice_shard.spare',
  'sluice_shard.web',
  'sluice_shard_attachment.web',
  'sluice_token.reader',
] as const
