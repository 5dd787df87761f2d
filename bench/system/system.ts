/** The system under measurement: a lab of its own, and in it a project with a network, a pool, a shard and web machines. */

import * as v from 'valibot'
import { networkSchema, poolSchema, shardSchema } from '../../controller/contract/address-space.ts'
import {
  type LoadBalancer,
  type loadBalancerCreateSchema,
  loadBalancerSchema,
} from '../../controller/contract/load-balancer.ts'
import { hostSchema, type Machine, machineSchema } from '../../controller/contract/machine.ts'
import { type projectCreateSchema, projectSchema } from '../../controller/contract/project.ts'
import {
  bringLabUp,
  type LabSettings,
  labSettings,
  loopbackUrl,
  type OpenLab,
  openLab,
  readAdminToken,
  silentProgress,
  takeLabDown,
} from '../../lab/lab.ts'
import { waitUntil } from '../../lab/wait.ts'
import { wallMilliseconds } from '../clock.ts'
import type { Target } from '../prober/messages.ts'
import { type Api, createApi } from './api.ts'
import type { Cleanup } from './cleanup.ts'

export interface System {
  readonly settings: LabSettings
  readonly lab: OpenLab
  readonly api: Api
  readonly clientPid: number
  readonly projectId: string
  readonly networkId: string
  readonly machines: readonly Machine[]
}

const machineTimeoutSeconds = 60
export const hostCount = 3

/** One web machine on each host, or more of them, spread likewise. @param quota of the project */
export async function startSystem(
  cleanup: Cleanup,
  machineCount: number = hostCount,
  quota: v.InferInput<typeof projectCreateSchema>['quota'] = {},
): Promise<System> {
  const settings = labSettings({ name: 'bench', hosts: hostCount })
  cleanup.defer('the lab', () => takeLabDown(settings))
  await bringLabUp(settings, silentProgress)
  const lab = openLab(settings)
  const api = createApi(loopbackUrl, readAdminToken(settings))
  const project = await api.call(projectSchema, 'POST', '/v1/projects', { name: 'bench', user: 'bench', quota })
  const owned = { projectId: project.id }
  const network = await api.call(networkSchema, 'POST', '/v1/networks', { name: 'web', ...owned })
  const pool = await api.call(poolSchema, 'POST', '/v1/pools', { name: 'web', cidr: '198.18.16.0/22', ...owned })
  await api.call(shardSchema, 'POST', '/v1/shards', { poolId: pool.id, networkId: network.id })
  const hosts = await api.call(v.object({ items: v.array(hostSchema) }), 'GET', '/v1/hosts')
  const machines: Machine[] = []
  for (let index = 0; index < machineCount; index++) {
    machines.push(
      await api.call(machineSchema, 'POST', '/v1/machines', {
        name: `web-${index + 1}`,
        networkId: network.id,
        hostId: hosts.items[index % hosts.items.length]?.id,
        workloads: [{ kind: 'web', port: 80 }],
        ...owned,
      }),
    )
  }
  const system = {
    settings,
    lab,
    api,
    clientPid: lab.state.client?.pid ?? 0,
    projectId: project.id,
    networkId: network.id,
    machines,
  }
  await waitUntil(async () => (await listMachines(system)).every(({ status }) => status === 'active'), {
    what: () => 'every web machine to be active',
    timeoutSeconds: machineTimeoutSeconds,
    intervalMilliseconds: 100,
  })
  return system
}

export async function listMachines(system: System): Promise<readonly Machine[]> {
  return await Promise.all(system.machines.map(({ id }) => system.api.call(machineSchema, 'GET', `/v1/machines/${id}`)))
}

export interface CreatedBalancer {
  readonly id: string
  readonly vips: readonly string[]
  /** When the request was sent and answered, and when the VIPs were known: wall-clock milliseconds. */
  readonly sentAt: number
  readonly answeredAt: number
  readonly vipsKnownAt: number
}

const vipTimeoutSeconds = 30
const vipPollMilliseconds = 4

/** Declares a balancer over the first three machines; resolves as soon as its VIPs are known. */
export async function createBalancer(
  system: System,
  name: string,
  more: Partial<v.InferInput<typeof loadBalancerCreateSchema>> = {},
): Promise<CreatedBalancer> {
  const sentAt = wallMilliseconds()
  let balancer = await system.api.call(loadBalancerSchema, 'POST', '/v1/load-balancers', {
    name,
    projectId: system.projectId,
    networkId: system.networkId,
    trafficType: 'http',
    listeners: [{ port: 80 }],
    members: system.machines.slice(0, hostCount).map(({ id }) => ({ machineId: id })),
    ...more,
  })
  const answeredAt = wallMilliseconds()
  await waitUntil(
    async () => {
      if (balancer.vips.length >= balancer.instanceCount) return true
      balancer = await showBalancer(system, balancer.id)
      return false
    },
    {
      what: () => `the VIPs of ${name}`,
      timeoutSeconds: vipTimeoutSeconds,
      intervalMilliseconds: vipPollMilliseconds,
    },
  )
  return { id: balancer.id, vips: balancer.vips, sentAt, answeredAt, vipsKnownAt: wallMilliseconds() }
}

export async function showBalancer(system: System, id: string): Promise<LoadBalancer> {
  return await system.api.call(loadBalancerSchema, 'GET', `/v1/load-balancers/${id}`)
}

const deleteTimeoutSeconds = 60

/** Resolves when hosts have given it up as well. */
export async function deleteBalancer(system: System, id: string): Promise<void> {
  const path = `/v1/load-balancers/${id}`
  await system.api.call(v.unknown(), 'DELETE', path)
  await waitUntil(async () => !(await system.api.exists(path)), {
    what: () => `the end of ${id}`,
    timeoutSeconds: deleteTimeoutSeconds,
    intervalMilliseconds: 50,
  })
}

export const targetsOf = (vips: readonly string[], port = 80): readonly Target[] =>
  vips.map((address) => ({ address, port }))
