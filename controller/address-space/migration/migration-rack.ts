/** A rack with two shards and machines in the first, for the tests of migrations. */

import * as v from 'valibot'
import { loadBalancerCreateSchema } from '../../contract/load-balancer.ts'
import { machineCreateSchema } from '../../contract/machine.ts'
import { type Migration, type MigrationCreate, migrationCreateSchema } from '../../contract/migration.ts'
import type { Outcome } from '../../contract/problem.ts'
import { type InstanceValue, instanceKind, type MachineValue, machineKind } from '../../objects.ts'
import { createTestRack, type TestRack } from '../../test-rack.ts'

export interface MigrationRack {
  readonly rack: TestRack
  readonly networkId: string
  readonly poolId: string
  /** 10.0.0.0/28: where everybody is. */
  readonly shardId: string
  createShard(sizeAddresses?: 16 | 32): Promise<string>
  createMachine(name: string): Promise<string>
  createBalancer(members: readonly object[], parts?: object): Promise<string>
  start(parts?: Partial<MigrationCreate>): Promise<Migration>
  show(id: string): Promise<Migration>
  machine(id: string): MachineValue
  instances(): readonly InstanceValue[]
  /** So many seconds, with turns and reports in each. */
  pass(seconds: number): Promise<void>
  /** The steps that a holder has come to, in their order. */
  stepsOf(name: string): readonly string[]
  eventsOf(type: string): readonly unknown[]
}

export function get<Value>(outcome: Outcome<Value>): Value {
  if (!outcome.ok) throw new Error(`${outcome.problem.code}: ${outcome.problem.detail}`)
  return outcome.value
}

export async function createMigrationRack(): Promise<MigrationRack> {
  const rack = await createTestRack()
  const { services, context, projectId } = rack
  const pool = get(await services.pools.create({ name: 'pool', projectId, cidr: '10.0.0.0/16' }, context.request()))
  const network = get(await services.networks.create({ name: 'net', projectId, mtu: 1400 }, context.request()))
  const cut = async (sizeAddresses: 16 | 32) =>
    get(await services.shards.create({ poolId: pool.id, networkId: network.id, sizeAddresses }, context.request())).id
  const shardId = await cut(16)

  return {
    rack,
    networkId: network.id,
    poolId: pool.id,
    shardId,
    createShard: (sizeAddresses = 32) => cut(sizeAddresses),
    async createMachine(name) {
      const input = v.parse(machineCreateSchema, { name, projectId, networkId: network.id })
      const { id } = get(await services.machines.create(input, context.request()))
      await rack.settle()
      return id
    },
    async createBalancer(members, parts = {}) {
      const ground = { name: 'shop', projectId, networkId: network.id, trafficType: 'http', listeners: [{ port: 80 }] }
      const input = v.parse(loadBalancerCreateSchema, { ...ground, members, ...parts })
      const { id } = get(await services.loadBalancers.create(input, context.request()))
      await rack.settle()
      return id
    },
    start: async (parts = {}) =>
      get(await services.migrations.start(shardId, v.parse(migrationCreateSchema, parts), context.request())),
    show: async (id) => get(await services.migrations.show(id, context.request())),
    machine(id) {
      const machine = rack.store.snapshot(machineKind).find((one) => one.id === id)
      if (machine === undefined) throw new Error(`there is no machine ${id}`)
      return machine.value
    },
    instances: () => rack.store.snapshot(instanceKind).map(({ value }) => value),
    async pass(seconds) {
      for (let second = 0; second < seconds; second++) {
        context.advance(1_001)
        await rack.settle()
      }
    },
    stepsOf: (name) =>
      rack.events.flatMap(({ type, data }) => {
        const told = data as { readonly name?: string; readonly step?: string }
        return type === 'migration.step' && told.name === name ? [told.step ?? ''] : []
      }),
    eventsOf: (type) => rack.events.flatMap((event) => (event.type === type ? [event.data] : [])),
  }
}
