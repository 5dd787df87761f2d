/**
 * Somebody who has shards emptied at random, steers that at random, and has machines and balancers come and go meanwhile;
 * and keeps account of what was acknowledged.
 */

import * as v from 'valibot'
import { loadBalancerCreateSchema } from '../../controller/contract/load-balancer.ts'
import { machineCreateSchema } from '../../controller/contract/machine.ts'
import {
  type MigrationAction,
  migrationActions,
  migrationCreateSchema,
  migrationModes,
} from '../../controller/contract/migration.ts'
import type { Outcome } from '../../controller/contract/problem.ts'
import type { Kind } from '../../controller/control-plane/store.ts'
import {
  loadBalancerKind,
  type MigrationValue,
  machineKind,
  migrationKind,
  networkKind,
  poolKind,
  shardKind,
} from '../../controller/objects.ts'
import type { RequestInfo } from '../../controller/services.ts'
import { createLedger, type Ledger, type LedgerOutcome } from './ledger.ts'
import type { Controller, Simulation } from './simulation.ts'

export interface MigratingCaller {
  /** Pools, networks, shards, machines and balancers that there is something to migrate of. */
  prepare(): Promise<void>
  /** Makes one request; it may never be answered. */
  call(): Promise<void>
  /** Asks for it of a migration, and keeps account of the answer. */
  act(migrationId: string, action: MigrationAction): Promise<void>
  readonly ledger: Ledger
}

interface Call {
  /** The subjects of the account that it is about. */
  readonly about: readonly string[]
  readonly make: (services: Controller['services'], request: RequestInfo) => Promise<Outcome<unknown>>
  /** What has to be so once it is acknowledged. */
  readonly promise?: (answer: unknown) => NonNullable<LedgerOutcome['promises']>
}

const shardsAtFirst = 4
const machinesAtFirst = 9

const wantedBy: Readonly<Record<MigrationAction, MigrationValue['wanted']>> = {
  cancel: 'cancel',
  rollback: 'rollback',
  resume: 'run',
}

export function createMigratingCaller(simulation: Simulation): MigratingCaller {
  const { chance, store } = simulation
  const ledger = createLedger()
  const projectId = simulation.projectIds[0] ?? ''
  let made = 0
  const newName = () => `thing-${++made}`
  const pickNetwork = () => chance.pick(store.snapshot(networkKind).slice(0, chance.happens(0.8) ? 1 : 2))?.id ?? ''

  const find = <Value>(kind: Kind<Value>, id: string) => store.snapshot(kind).find((object) => object.id === id)?.value
  const promiseThere = (kind: Kind<unknown>) => (answer: unknown) => {
    const { id } = answer as { readonly id: string }
    return [{ subject: id, check: () => (find(kind, id) === undefined ? 'was made and is not there' : null) }]
  }
  const promiseGone = (kind: Kind<unknown>, id: string) => () => [
    { subject: id, check: () => (find(kind, id) === undefined ? null : 'was deleted and is there') },
  ]

  const createShard = (networkId = pickNetwork()): Call => ({
    about: [],
    make: (services, request) => {
      const poolId = store.snapshot(poolKind)[0]?.id ?? ''
      return services.shards.create({ poolId, sizeAddresses: 16, networkId }, request)
    },
    promise: promiseThere(shardKind),
  })

  const createMachine = (networkId = pickNetwork()): Call => {
    const input = v.parse(machineCreateSchema, { name: newName(), projectId, networkId })
    return {
      about: [],
      make: (services, request) => services.machines.create(input, request),
      promise: promiseThere(machineKind),
    }
  }

  /** With a member by its machine's id, one by its machine's address, and one from elsewhere. */
  const createBalancer = (): Call => {
    const [first, second] = [chance.pick(store.snapshot(machineKind)), chance.pick(store.snapshot(machineKind))]
    const members = [
      { address: '10.9.9.9' },
      ...(first === undefined ? [] : [{ machineId: first.id }]),
      ...(second === undefined || second === first
        ? []
        : [{ address: second.value.addresses[0]?.address ?? '10.9.9.8' }]),
    ]
    const networkId = first?.value.networkId ?? pickNetwork()
    const input = { name: newName(), projectId, networkId, trafficType: 'http', listeners: [{ port: 80 }], members }
    return {
      about: [],
      make: (services, request) => services.loadBalancers.create(v.parse(loadBalancerCreateSchema, input), request),
      promise: promiseThere(loadBalancerKind),
    }
  }

  const migrate = (): Call => {
    const shardId = chance.pick(store.snapshot(shardKind).filter(({ value }) => value.networkId !== null))?.id ?? ''
    const networkId = find(shardKind, shardId)?.networkId
    const other = store.snapshot(networkKind).find(({ id }) => id !== networkId)?.id
    const input = v.parse(migrationCreateSchema, {
      mode: chance.pick(migrationModes),
      parallelism: 1 + chance.below(4),
      drainSeconds: chance.below(6),
      ...(other !== undefined && chance.happens(0.3) && { toNetworkId: other }),
    })
    return {
      about: [shardId],
      make: (services, request) => services.migrations.start(shardId, input, request),
      promise: promiseThere(migrationKind),
    }
  }

  const act = (id: string, action: MigrationAction): Call => {
    const subject = `what is wanted of ${id}`
    const wanted = wantedBy[action]
    const check = () => (find(migrationKind, id)?.wanted === wanted ? null : `was acknowledged to be ${wanted}`)
    return {
      about: [subject, find(migrationKind, id)?.shardId ?? ''],
      make: (services, request) => services.migrations.act(id, action, request),
      promise: () => [{ subject, check }],
    }
  }

  const steer = (): Call => {
    const unsettled = store.snapshot(migrationKind).filter(({ value }) => value.finishedAt === null)
    const migration = chance.pick(chance.happens(0.8) ? unsettled : store.snapshot(migrationKind))
    return act(migration?.id ?? '', chance.pick(migrationActions) ?? 'cancel')
  }

  const allocateShard = (): Call => {
    const networkId = pickNetwork()
    const id = chance.pick(store.snapshot(shardKind).filter(({ value }) => value.networkId === null))?.id ?? ''
    const check = () => (find(shardKind, id)?.networkId === networkId ? null : `was allocated to ${networkId}`)
    return {
      about: [id],
      make: (services, request) => services.shards.allocate(networkId, id, request),
      promise: () => [{ subject: id, check }],
    }
  }

  const removeMachine = (): Call => {
    const id = chance.pick(store.snapshot(machineKind))?.id ?? ''
    return {
      about: [id],
      make: (services, request) => services.machines.remove(id, request),
      promise: promiseGone(machineKind, id),
    }
  }

  const resizeBalancer = (): Call => {
    const id = chance.pick(store.snapshot(loadBalancerKind))?.id ?? ''
    const instanceCount = 1 + chance.below(3)
    const check = () => {
      const found = find(loadBalancerKind, id)?.instanceCount
      return found === instanceCount ? null : `was acknowledged to have ${instanceCount} instances, and wants ${found}`
    }
    return {
      about: [id],
      make: (services, request) => services.loadBalancers.update(id, { instanceCount }, request),
      promise: () => [{ subject: id, check }],
    }
  }

  const removeBalancer = (): Call => {
    const id = chance.pick(store.snapshot(loadBalancerKind))?.id ?? ''
    return {
      about: [id],
      make: (services, request) => services.loadBalancers.remove(id, request),
      promise: promiseGone(loadBalancerKind, id),
    }
  }

  const choices: readonly (() => Call)[] = [
    createShard,
    createMachine,
    createMachine,
    createMachine,
    createBalancer,
    ...Array.from({ length: 7 }, () => migrate),
    ...Array.from({ length: 5 }, () => steer),
    allocateShard,
    allocateShard,
    removeMachine,
    resizeBalancer,
    resizeBalancer,
    removeBalancer,
  ]

  async function make({ about, make: ask, promise }: Call): Promise<boolean> {
    const controller = chance.pick(simulation.controllers())
    // There is nothing of that sort now.
    if (controller === undefined || about.includes('')) return false
    const answer = ledger.ask(...about)
    const outcome = await ask(controller.services, simulation.newRequest())
    const isCertain = outcome.ok || outcome.problem.code !== 'unavailable'
    answer({ isCertain, ...(outcome.ok && promise !== undefined && { promises: promise(outcome.value) }) })
    return outcome.ok
  }

  /** The store fails now and then: until it has been done. */
  async function insist(describe: () => Call): Promise<void> {
    for (let attempt = 0; attempt < attemptsMaximum; attempt++) if (await make(describe())) return
    throw new Error('the ground of a migration can not be made')
  }

  return {
    ledger,
    async prepare() {
      await insist(() => ({
        about: [],
        make: ({ pools }, request) => pools.create({ name: newName(), projectId, cidr: '10.0.0.0/16' }, request),
      }))
      for (let i = 0; i < 2; i++) {
        await insist(() => ({
          about: [],
          make: ({ networks }, request) => networks.create({ name: newName(), projectId, mtu: 1400 }, request),
        }))
      }
      const [network, other] = store.snapshot(networkKind)
      for (let i = 0; i < shardsAtFirst; i++) await insist(() => createShard(i === 0 ? other?.id : network?.id))
      for (let i = 0; i < machinesAtFirst; i++) await insist(() => createMachine(i === 0 ? other?.id : network?.id))
      for (let i = 0; i < 2; i++) await insist(createBalancer)
    },
    async call() {
      const choose = chance.pick(choices)
      if (choose !== undefined) await make(choose())
    },
    async act(migrationId, action) {
      await make(act(migrationId, action))
    },
  }
}

const attemptsMaximum = 20
