/** What the sides are given: so many load balancers, each with a network, a shard and its attachment. Pure. */

export type SideName = 'sluice' | 'nothing' | 'terraform_data'

/** A balancer, its network, its shard, and that shard in that network. */
export const resourcesEach = 4
/** The project and the pool, which all share. */
export const resourcesShared = 2

export const poolCidr = '10.64.0.0/12'
export const shardAddresses = 16
export const quota = { pools: 10, shards: 1000, networks: 1000, machines: 10, loadBalancers: 1000 }

export function renderConfiguration(side: SideName, balancers: number): string {
  return side === 'terraform_data' ? renderData(balancers) : renderDeclaration(side, balancers)
}

function renderDeclaration(provider: 'sluice' | 'nothing', balancers: number): string {
  const source = provider === 'sluice' ? 'sluice/sluice' : 'bench/nothing'
  return `terraform {
  required_providers {
    ${provider} = { source = "${source}" }
  }
}

resource "${provider}_project" "bench" {
  name  = "bench"
  user  = "bench"
  quota = { pools = ${quota.pools}, shards = ${quota.shards}, networks = ${quota.networks}, machines = ${quota.machines}, load_balancers = ${quota.loadBalancers} }
}

resource "${provider}_pool" "bench" {
  name       = "bench"
  project_id = ${provider}_project.bench.id
  cidr       = "${poolCidr}"
}

resource "${provider}_network" "bench" {
  count      = ${balancers}
  name       = "network-\${count.index}"
  project_id = ${provider}_project.bench.id
}

resource "${provider}_shard" "bench" {
  count          = ${balancers}
  name           = "shard-\${count.index}"
  pool_id        = ${provider}_pool.bench.id
  size_addresses = ${shardAddresses}
}

resource "${provider}_shard_attachment" "bench" {
  count      = ${balancers}
  network_id = ${provider}_network.bench[count.index].id
  shard_id   = ${provider}_shard.bench[count.index].id
}

resource "${provider}_load_balancer" "bench" {
  count        = ${balancers}
  name         = "balancer-\${count.index}"
  project_id   = ${provider}_project.bench.id
  network_id   = ${provider}_shard_attachment.bench[count.index].network_id
  traffic_type = "http"
  listeners    = [{ port = 80 }]
  members      = [{ address = "10.64.0.200", port = 80 }]
}
`
}

/** The same number of resources, which refer to each other likewise. It is built into the CLI and has no process. */
function renderData(balancers: number): string {
  const kinds = ['network', 'shard', 'attachment', 'balancer']
  const bodies = kinds.map((kind, index) => {
    const above = kinds[index - 1]
    const reference = above === undefined ? 'terraform_data.pool.output' : `terraform_data.${above}[count.index].output`
    return `resource "terraform_data" "${kind}" {
  count = ${balancers}
  input = "${kind}-\${count.index} of \${${reference}}"
}
`
  })
  return `resource "terraform_data" "project" {
  input = "bench"
}

resource "terraform_data" "pool" {
  input = "bench of \${terraform_data.project.output}"
}

${bodies.join('\n')}`
}
