/** A rack with two shards and machines in the first, for the tests of migrations. */

import * as v from 'valibot'
import type { HostReport, InstanceReport, MachineReport, MemberStatus } from '../../../agent/contract/host-report.ts'
import { loadBalancerCreateSchema } from '../../contract/load-balancer.ts'
import { machineCreateSchema } from '../../contract/machine.ts'
import { type Migration, type MigrationCreate, migrationCreateSchema } from '../../contract/migration.ts'
import type { Outcome } from '../../contract/problem.ts'
import {
  addressKind,
  type InstanceValue,
  instanceKind,
  type MachineValue,
  type MoveValue,
  machineKind,
  moveKind,
  type ShardValue,
  shardKind,
} from '../../objects.ts'
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
  addressesOf(id: string): readonly string[]
  moveOf(name: string): MoveValue
  shardOf(id: string): ShardValue | undefined
  heldIn(shardId: string): readonly string[]
  /** What instances are told to send to, of all balancers. */
  listMembers(): readonly string[]
  /** Each host's report from now on is changed so. */
  distortAll(change: ReportChange): void
  /** So many seconds, with turns and reports in each. */
  pass(seconds: number): Promise<void>
  /** The steps that a holder has come to, in their order. */
  stepsOf(name: string): readonly string[]
  eventsOf(type: string): readonly unknown[]
}

export type ReportChange = (report: HostReport) => HostReport

export const hostNames = ['a', 'b', 'c'] as const

export const asTheyAre: ReportChange = (report) => report

/** Of every holder of two addresses. */
export const withAddresses =
  (parts: { readonly answers?: boolean; readonly connections?: number }): ReportChange =>
  (report) => {
    const change = <Holder extends MachineReport | InstanceReport>(holder: Holder): Holder => ({
      ...holder,
      ...(holder.addresses && { addresses: holder.addresses.map((one) => ({ ...one, ...parts })) }),
    })
    return { ...report, machines: report.machines.map(change), instances: report.instances.map(change) }
  }

/** Every member, as every instance finds it. */
export const withMembers =
  (status: MemberStatus): ReportChange =>
  (report) => ({
    ...report,
    instances: report.instances.map((instance) => ({
      ...instance,
      members: Object.fromEntries(Object.keys(instance.members).map((key) => [key, status])),
    })),
  })

/** One member, which may be told of no more. */
export const withMember =
  (key: string, status: MemberStatus): ReportChange =>
  (report) => ({
    ...report,
    instances: report.instances.map((one) => ({ ...one, members: { ...one.members, [key]: status } })),
  })

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

  const self: MigrationRack = {
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
    addressesOf: (id) => self.machine(id).addresses.map(({ address }) => address),
    moveOf(name) {
      const move = rack.store.snapshot(moveKind).find(({ value }) => value.name === name)
      if (move === undefined) throw new Error(`${name} has no move`)
      return move.value
    },
    shardOf: (id) => rack.store.snapshot(shardKind).find((shard) => shard.id === id)?.value,
    heldIn: (id) =>
      rack.store.snapshot(addressKind).flatMap(({ value }) => (value.shardId === id ? [value.address] : [])),
    listMembers: () =>
      [...rack.published.values()].flatMap(({ statement }) =>
        statement.instances.flatMap(({ listeners }) =>
          listeners.flatMap(({ members }) => members.map(({ address }) => address)),
        ),
      ),
    distortAll(change) {
      for (const host of hostNames) rack.distort(host, change)
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
  return self
}
