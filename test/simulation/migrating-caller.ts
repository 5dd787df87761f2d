/** Somebody who has shards emptied at random, steers that at random, and has machines and balancers come and go meanwhile. */

import * as v from 'valibot'
import { loadBalancerCreateSchema } from '../../controller/contract/load-balancer.ts'
import { machineCreateSchema } from '../../controller/contract/machine.ts'
import { migrationActions, migrationCreateSchema, migrationModes } from '../../controller/contract/migration.ts'
import type { Outcome } from '../../controller/contract/problem.ts'
import {
  loadBalancerKind,
  machineKind,
  migrationKind,
  networkKind,
  poolKind,
  shardKind,
} from '../../controller/objects.ts'
import type { RequestInfo } from '../../controller/services.ts'
import type { Controller, Simulation } from './simulation.ts'

export interface MigratingCaller {
  /** Pools, networks, shards, machines and balancers that there is something to migrate of. */
  prepare(): Promise<void>
  /** Makes one request; it may never be answered. */
  call(): Promise<void>
}

type Call = (services: Controller['services'], request: RequestInfo) => Promise<Outcome<unknown>>

const shardsAtFirst = 3
const machinesAtFirst = 8

export function createMigratingCaller(simulation: Simulation): MigratingCaller {
  const { chance, store } = simulation
  const projectId = simulation.projectIds[0] ?? ''
  let made = 0
  const newName = () => `thing-${++made}`

  const createShard: Call = (services, request) => {
    const networkId = chance.pick(store.snapshot(networkKind))?.id
    const poolId = store.snapshot(poolKind)[0]?.id ?? ''
    return services.shards.create({ poolId, sizeAddresses: 16, ...(networkId !== undefined && { networkId }) }, request)
  }
  const createMachine: Call = (services, request) => {
    const networkId = store.snapshot(networkKind)[0]?.id ?? ''
    return services.machines.create(v.parse(machineCreateSchema, { name: newName(), projectId, networkId }), request)
  }
  const createBalancer: Call = (services, request) => {
    const [first, second] = [chance.pick(store.snapshot(machineKind)), chance.pick(store.snapshot(machineKind))]
    const networkId = store.snapshot(networkKind)[0]?.id ?? ''
    const members = [
      { address: '10.9.9.9' },
      ...(first === undefined ? [] : [{ machineId: first.id }]),
      ...(second === undefined || second === first ? [] : [{ address: second.value.addresses[0]?.address ?? '10.9.9.8' }]),
    ]
    const input = { name: newName(), projectId, networkId, trafficType: 'http', listeners: [{ port: 80 }], members }
    return services.loadBalancers.create(v.parse(loadBalancerCreateSchema, input), request)
  }
  const migrate: Call = (services, request) => {
    const shard = chance.pick(store.snapshot(shardKind).filter(({ value }) => value.networkId !== null))
    const input = {
      mode: chance.pick(migrationModes),
      parallelism: 1 + chance.below(4),
      drainSeconds: chance.below(6),
    }
    return services.migrations.start(shard?.id ?? '', v.parse(migrationCreateSchema, input), request)
  }
  const steer: Call = (services, request) => {
    const migration = chance.pick(store.snapshot(migrationKind))
    return services.migrations.act(migration?.id ?? '', chance.pick(migrationActions) ?? 'cancel', request)
  }
  const allocateShard: Call = (services, request) => {
    const shard = chance.pick(store.snapshot(shardKind).filter(({ value }) => value.networkId === null))
    return services.shards.allocate(store.snapshot(networkKind)[0]?.id ?? '', shard?.id ?? '', request)
  }
  const removeMachine: Call = (services, request) =>
    services.machines.remove(chance.pick(store.snapshot(machineKind))?.id ?? '', request)
  const resizeBalancer: Call = (services, request) => {
    const balancer = chance.pick(store.snapshot(loadBalancerKind))
    return services.loadBalancers.update(balancer?.id ?? '', { instanceCount: 1 + chance.below(3) }, request)
  }
  const removeBalancer: Call = (services, request) =>
    services.loadBalancers.remove(chance.pick(store.snapshot(loadBalancerKind))?.id ?? '', request)

  const calls: readonly Call[] = [
    createShard,
    createMachine,
    createMachine,
    createBalancer,
    ...Array.from({ length: 6 }, () => migrate),
    ...Array.from({ length: 3 }, () => steer),
    allocateShard,
    allocateShard,
    removeMachine,
    resizeBalancer,
    removeBalancer,
  ]

  async function make(call: Call | undefined): Promise<boolean> {
    const controller = chance.pick(simulation.controllers())
    if (controller === undefined || call === undefined) return false
    return (await call(controller.services, simulation.newRequest())).ok
  }

  /** The store fails now and then: until it has been done. */
  async function insist(call: Call): Promise<void> {
    for (let attempt = 0; attempt < attemptsMaximum; attempt++) if (await make(call)) return
    throw new Error('the ground of a migration can not be made')
  }

  return {
    async prepare() {
      await insist((services, request) =>
        services.pools.create({ name: newName(), projectId, cidr: '10.0.0.0/16' }, request),
      )
      await insist((services, request) => services.networks.create({ name: newName(), projectId, mtu: 1400 }, request))
      for (let i = 0; i < shardsAtFirst; i++) await insist(createShard)
      for (let i = 0; i < machinesAtFirst; i++) await insist(createMachine)
      await insist(createBalancer)
    },
    async call() {
      await make(chance.pick(calls))
    },
  }
}

const attemptsMaximum = 20
