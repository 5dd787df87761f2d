/** Somebody who creates, changes and deletes at random, and sometimes asks again what was never answered. */

import * as v from 'valibot'
import { loadBalancerCreateSchema } from '../../controller/contract/load-balancer.ts'
import { machineCreateSchema } from '../../controller/contract/machine.ts'
import type { Outcome } from '../../controller/contract/problem.ts'
import { loadBalancerKind, machineKind, networkKind, poolKind, shardKind } from '../../controller/objects.ts'
import type { RequestInfo } from '../../controller/services.ts'
import type { Controller, Simulation } from './simulation.ts'

export interface SimulatedCaller {
  /** Makes one request; it may never be answered. */
  call(): Promise<void>
}

type Call = (services: Controller['services'], request: RequestInfo) => Promise<Outcome<unknown>>

export function createCaller(simulation: Simulation): SimulatedCaller {
  const { chance, store } = simulation
  const unanswered: { readonly call: Call; readonly request: RequestInfo }[] = []
  let made = 0
  const newName = () => (chance.happens(0.1) ? 'a-name-that-many-want' : `thing-${++made}`)

  function chooseCall(projectId: string): Call | null {
    const own = <Value extends { readonly projectId: string }>(object: { readonly value: Value }) =>
      object.value.projectId === projectId
    const pool = chance.pick(store.snapshot(poolKind).filter(own))
    const network = chance.pick(store.snapshot(networkKind).filter(own))
    const shard = chance.pick(store.snapshot(shardKind).filter(own))
    const machine = chance.pick(store.snapshot(machineKind).filter(own))
    const balancer = chance.pick(store.snapshot(loadBalancerKind).filter(own))
    const name = newName()
    const createPool: Call = (services, request) =>
      services.pools.create({ name, projectId, cidr: `10.${chance.below(3)}.0.0/16` }, request)
    const createNetwork: Call = (services, request) => services.networks.create({ name, projectId, mtu: 1400 }, request)
    if (pool === undefined) return createPool
    if (network === undefined) return createNetwork
    const createShard: Call = (services, request) =>
      services.shards.create({ poolId: pool.id, sizeAddresses: 16, networkId: network.id }, request)
    if (shard === undefined) return createShard
    const calls: readonly (Call | null)[] = [
      createPool,
      createNetwork,
      createShard,
      ...Array.from({ length: 6 }, () => createMachine(name, projectId, network.id)),
      ...Array.from({ length: 8 }, () => createBalancer(name, projectId, network.id, machine?.id)),
      balancer === undefined ? null : (services, request) => services.loadBalancers.remove(balancer.id, request),
      balancer === undefined ? null : (services, request) => services.loadBalancers.remove(balancer.id, request),
      machine === undefined ? null : (services, request) => services.machines.remove(machine.id, request),
      balancer === undefined
        ? null
        : (services, request) =>
            services.loadBalancers.update(balancer.id, { instanceCount: 1 + chance.below(4) }, request),
      balancer === undefined
        ? null
        : (services, request) =>
            services.loadBalancers.addMember(
              balancer.id,
              { address: `10.9.0.${chance.below(250)}`, weight: 1 },
              request,
            ),
      balancer === undefined
        ? null
        : (services, request) => services.loadBalancers.update(balancer.id, { name }, request),
      (services, request) => services.shards.remove(shard.id, request),
      (services, request) => services.shards.allocate(network.id, shard.id, request),
      shard?.value.networkId
        ? (services, request) => services.shards.deallocate(shard.value.networkId ?? '', shard.id, request)
        : null,
      (services, request) => services.networks.remove(network.id, request),
      (services, request) => services.pools.remove(pool.id, request),
    ]
    return chance.pick(calls) ?? null
  }

  return {
    async call() {
      const controller = chance.pick(simulation.controllers())
      const projectId = chance.pick(simulation.projectIds)
      if (controller === undefined || projectId === undefined) return
      const again = chance.happens(0.3) ? unanswered.pop() : undefined
      const fresh = chooseCall(projectId)
      if (again === undefined && fresh === null) return
      const asked = again ?? {
        call: fresh ?? (async () => ({ ok: true, value: null })),
        request: simulation.newRequest(),
      }
      unanswered.push(asked)
      const outcome = await asked.call(controller.services, asked.request)
      if (!outcome.ok && outcome.problem.code === 'unavailable') return
      const place = unanswered.indexOf(asked)
      if (place >= 0) unanswered.splice(place, 1)
    },
  }
}

const createMachine =
  (name: string, projectId: string, networkId: string): Call =>
  (services, request) =>
    services.machines.create(v.parse(machineCreateSchema, { name, projectId, networkId }), request)

const createBalancer =
  (name: string, projectId: string, networkId: string, machineId: string | undefined): Call =>
  (services, request) => {
    const members = machineId === undefined ? [{ address: '10.9.9.9' }] : [{ machineId }, { address: '10.9.9.9' }]
    const listeners = [{ port: 80 }]
    const input = { name, projectId, networkId, trafficType: 'http', listeners, members }
    return services.loadBalancers.create(v.parse(loadBalancerCreateSchema, input), request)
  }
