/**
 * What migrations are tried on: a system whose network has two shards, the machines in the first; a web balancer in
 * front of the web machines, and one tcp balancer in front of each echo machine, so that it is known by which holders
 * each long-lived connection goes.
 */

import * as v from 'valibot'
import { poolSchema, type Shard, shardSchema } from '../../controller/contract/address-space.ts'
import { pageSchema } from '../../controller/contract/common.ts'
import type { LoadBalancer } from '../../controller/contract/load-balancer.ts'
import { type Machine, machineSchema } from '../../controller/contract/machine.ts'
import { waitUntil } from '../../lab/wait.ts'
import type { Cleanup } from '../system/cleanup.ts'
import { createBalancer, type System, startSystem } from '../system/system.ts'
import { awaitAllWhole } from '../system/world.ts'

export interface Ground {
  readonly system: System
  /** Where everybody is at the start. */
  readonly first: Shard
  /** Empty at the start. */
  readonly second: Shard
  readonly web: LoadBalancer
  /** Each with one machine behind it. */
  readonly echoes: readonly { readonly machine: Machine; readonly balancer: LoadBalancer }[]
}

export interface GroundOptions {
  readonly webMachines: number
  readonly echoMachines: number
}

const echoPort = 7
const healthCheckSeconds = { intervalSeconds: 1, timeoutSeconds: 1 }
const machineTimeoutSeconds = 60

export async function prepareGround(cleanup: Cleanup, options: GroundOptions): Promise<Ground> {
  const system = await startSystem(cleanup, options.webMachines)
  const echoMachines = await createEchoMachines(system, options.echoMachines)
  const web = await createBalancer(system, 'web', {
    members: system.machines.map(({ id }) => ({ machineId: id })),
    healthCheck: { protocol: 'http', ...checkOf(options.webMachines) },
    timeouts,
  })
  const echoes: { machine: Machine; id: string }[] = []
  for (const machine of echoMachines) {
    const { id } = await createBalancer(system, machine.name, {
      trafficType: 'tcp',
      listeners: [{ port: echoPort }],
      members: [{ machineId: machine.id }],
      healthCheck: { protocol: 'tcp', ...checkOf(1) },
      timeouts,
    })
    echoes.push({ machine, id })
  }
  const [first] = await listShards(system)
  if (first === undefined) throw new Error('BUG: a system without a shard')
  const second = await addShard(system)
  const whole = await awaitAllWhole(system, [web.id, ...echoes.map(({ id }) => id)])
  const balancerOf = (wanted: string) => {
    const found = whole.find(({ id }) => id === wanted)
    if (found === undefined) throw new Error(`BUG: ${wanted} is whole and not there`)
    return found
  }
  return {
    system,
    first,
    second,
    web: balancerOf(web.id),
    echoes: echoes.map(({ machine, id }) => ({ machine, balancer: balancerOf(id) })),
  }
}

/** A balancer ends what goes on with a member's old address after its own drain: longer than that of any migration here. */
const timeouts = { connectSeconds: 2, clientSeconds: 60, serverSeconds: 60, drainSeconds: 60 }

/** A check a second of many members would cost more than the requests. */
const checkOf = (members: number) => ({
  ...healthCheckSeconds,
  intervalSeconds: Math.max(healthCheckSeconds.intervalSeconds, Math.ceil(members / membersCheckedPerSecond)),
  ...thresholds,
})
const membersCheckedPerSecond = 100
const thresholds = { healthyThreshold: 2, unhealthyThreshold: 2 }

async function createEchoMachines(system: System, count: number): Promise<readonly Machine[]> {
  const hostIds = [...new Set(system.machines.map(({ hostId }) => hostId))]
  const made: Machine[] = []
  for (let index = 0; index < count; index++) {
    const hostId = hostIds[index % hostIds.length] ?? undefined
    const body = {
      name: `echo-${index + 1}`,
      projectId: system.projectId,
      networkId: system.networkId,
      workloads: [{ kind: 'echo', port: echoPort }],
      ...(hostId === undefined ? {} : { hostId }),
    }
    made.push(await system.api.call(machineSchema, 'POST', '/v1/machines', body))
  }
  const show = (id: string) => system.api.call(machineSchema, 'GET', `/v1/machines/${id}`)
  const isActive = async () =>
    (await Promise.all(made.map(({ id }) => show(id)))).every(({ status }) => status === 'active')
  await waitUntil(isActive, {
    what: () => 'every echo machine to be active',
    timeoutSeconds: machineTimeoutSeconds,
    intervalMilliseconds: 100,
  })
  return Promise.all(made.map(({ id }) => show(id)))
}

export async function listShards({ api }: System): Promise<readonly Shard[]> {
  return (await api.call(pageSchema(shardSchema), 'GET', '/v1/shards')).items
}

/** As large as the first, out of a pool of its own. */
async function addShard(system: System): Promise<Shard> {
  const { api, projectId, networkId } = system
  const pool = await api.call(poolSchema, 'POST', '/v1/pools', { name: 'spare', cidr: '198.18.20.0/22', projectId })
  return api.call(shardSchema, 'POST', '/v1/shards', { name: 'second', poolId: pool.id, networkId })
}

export const showShard = ({ api }: System, id: string): Promise<Shard> =>
  api.call(shardSchema, 'GET', `/v1/shards/${id}`)

/** A shard that is on no network becomes one of the system's again. */
export async function allocateShard({ api, networkId }: System, id: string): Promise<void> {
  await api.call(v.unknown(), 'POST', `/v1/networks/${networkId}/shards/${id}`)
}

/** Of all web and echo machines, as the API shows them now. */
export async function showMachines({ system, echoes }: Ground): Promise<readonly Machine[]> {
  const ids = [...system.machines.map(({ id }) => id), ...echoes.map(({ machine }) => machine.id)]
  return Promise.all(ids.map((id) => system.api.call(machineSchema, 'GET', `/v1/machines/${id}`)))
}

/** Where long-lived connections go to: every VIP of every echo balancer. */
export const echoTargetsOf = ({ echoes }: Ground) =>
  echoes.flatMap(({ balancer }) => balancer.vips.map((address) => ({ address, port: echoPort })))

/** By VIP of an echo balancer, the holders that its connections go through: the machine, and the instance at home there. */
export const holdersByVip = ({ echoes }: Ground): ReadonlyMap<string, readonly string[]> =>
  new Map(
    echoes.flatMap(({ machine, balancer }) =>
      balancer.instances.map(
        (instance) => [balancer.vips[instance.slot - 1] ?? '', [machine.id, instance.id]] as const,
      ),
    ),
  )
