/** Random histories, done on both stores: what one answers, the other answers too. */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import fc from 'fast-check'
import pino from 'pino'
import { openJetStreamStore } from './jetstream-store.ts'
import { createMemoryStore } from './memory-store.ts'
import type { KnownObject } from './plan-transaction.ts'
import type { Store, StoredObject, Transaction, Write } from './store.ts'
import { addressKind, leaseKind, newAddressId, newClient, newLeaseId, newShardId, shardKind } from './store-contract.ts'
import { startTestNatsServer, type TestNatsServer } from './test-nats-server.ts'

// Generous, since bun ends every child process, also the server, once a test is late.
setDefaultTimeout(60_000)

const runs = 150
const testMilliseconds = 120_000
const clients = 2
const objectsOfAKind = 3

let server: TestNatsServer
let connection: NatsConnection
let jetStreamStore: Store
let now = 0

beforeAll(async () => {
  server = await startTestNatsServer()
  connection = await connect({ servers: server.url })
  jetStreamStore = await openJetStreamStore({ connection, logger: pino({ level: 'silent' }), now: () => now })
})
afterAll(async () => {
  await jetStreamStore.close()
  await connection.close()
  await server.stop()
})

/** A write by places: which object, and how far from its true version the writer's belief is. */
interface WriteStep {
  readonly kind: 'shard' | 'address' | 'lease'
  readonly object: number
  readonly belief: 'true' | 'older' | 'newer' | 'absent'
  readonly value: number | null
}

type Step =
  | {
      readonly kind: 'transact'
      readonly client: number
      readonly writes: readonly WriteStep[]
      readonly events: number
      readonly actionId: number | undefined
    }
  | { readonly kind: 'list'; readonly client: number; readonly limit: number; readonly after: number | undefined }
  | { readonly kind: 'read'; readonly client: number; readonly object: number; readonly latest: boolean }

const clientPlace = fc.nat({ max: clients - 1 })
const objectPlace = fc.nat({ max: objectsOfAKind - 1 })
const writeStep: fc.Arbitrary<WriteStep> = fc.record({
  kind: fc.constantFrom('shard' as const, 'address' as const, 'lease' as const),
  object: objectPlace,
  belief: fc.oneof(
    { weight: 6, arbitrary: fc.constant('true' as const) },
    { weight: 1, arbitrary: fc.constantFrom('older' as const, 'newer' as const, 'absent' as const) },
  ),
  value: fc.option(fc.nat({ max: 9 }), { freq: 4 }),
})
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('transact' as const),
      client: clientPlace,
      writes: fc.uniqueArray(writeStep, {
        minLength: 1,
        maxLength: 4,
        selector: ({ kind, object }) => `${kind} ${object}`,
      }),
      events: fc.nat({ max: 2 }),
      actionId: fc.option(fc.nat({ max: 5 }), { nil: undefined }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('list' as const),
      client: clientPlace,
      limit: fc.integer({ min: 1, max: 3 }),
      after: fc.option(objectPlace, { nil: undefined }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      client: clientPlace,
      object: objectPlace,
      latest: fc.boolean(),
    }),
  },
)

interface World {
  readonly clientId: string
  readonly shards: readonly string[]
  readonly addresses: readonly string[]
  /** Each is carried by the shard of the same place, but for the last, which the first shard carries too. */
  readonly leases: readonly string[]
}

const createWorlds = (): readonly World[] =>
  Array.from({ length: clients }, () => {
    const clientId = newClient()
    const ids = (make: (clientId: string) => string) =>
      Array.from({ length: objectsOfAKind }, () => make(clientId)).sort()
    return { clientId, shards: ids(newShardId), addresses: ids(newAddressId), leases: ids(newLeaseId) }
  })

/** Everything but the place, which is the engine's own. */
function withoutRevision(object: StoredObject<unknown> | null): Omit<KnownObject, 'revision'> | null {
  if (object === null) return null
  const { revision: _, ...rest } = object
  return rest
}

async function describeTransaction(
  store: Store,
  world: World,
  step: Extract<Step, { kind: 'transact' }>,
): Promise<Transaction> {
  const writes = await Promise.all(
    step.writes.map(async ({ kind: kindName, object, belief, value }): Promise<Write> => {
      const [kind, ids] = (
        {
          shard: [shardKind, world.shards],
          address: [addressKind, world.addresses],
          lease: [leaseKind, world.leases],
        } as const
      )[kindName]
      const id = ids[object] ?? ''
      const version = (await store.get<unknown>(kind, id))?.version
      const beliefs = {
        true: version ?? 'absent',
        older: (version ?? 1) - 1,
        newer: (version ?? 0) + 1,
        absent: 'absent',
      } as const
      const shardId = world.shards[object % (objectsOfAKind - 1)]
      // Nobody deletes what is carried and is not there.
      const isDeleted = value === null && (kindName !== 'lease' || version !== undefined)
      return { kind, id, expect: beliefs[belief], value: isDeleted ? null : { number: value ?? 0, shardId } }
    }),
  )
  const events = Array.from({ length: step.events }, (_, data) => {
    return { type: 'thing.changed', projectId: world.clientId, subject: world.clientId, data }
  })
  return { writes, events, ...(step.actionId === undefined ? {} : { actionId: `act-${step.actionId}` }) }
}

/** Does one step, and returns all that there is to see of it. */
async function perform(store: Store, worlds: readonly World[], step: Step): Promise<unknown> {
  const world = worlds[step.client] as World
  switch (step.kind) {
    case 'transact': {
      const outcome = await store.transact(await describeTransaction(store, world, step))
      return outcome.outcome === 'committed' ? outcome.objects.map(withoutRevision) : outcome
    }
    case 'list': {
      const after = step.after === undefined ? {} : { after: world.shards[step.after] ?? '' }
      const page = await store.list(shardKind, { clientId: world.clientId, limit: step.limit, ...after })
      return { items: page.items.map(withoutRevision), next: page.next }
    }
    case 'read': {
      const [shardId = '', addressId = ''] = [world.shards[step.object], world.addresses[step.object]]
      const leaseId = world.leases[step.object] ?? ''
      return [
        withoutRevision(await store.get(shardKind, shardId, { latest: step.latest })),
        withoutRevision(await store.getOrTombstone(addressKind, addressId, { latest: step.latest })),
        store.snapshot(addressKind, world.clientId).map(withoutRevision),
        (await store.history(shardKind, shardId)).map(withoutRevision),
        withoutRevision(await store.getOrTombstone(leaseKind, leaseId, { latest: step.latest })),
        store.snapshot(leaseKind, world.clientId).map(withoutRevision),
        (await store.history(leaseKind, leaseId)).map(withoutRevision),
      ]
    }
    default:
      return step satisfies never
  }
}

describe('any history of transactions and reads', () => {
  test(
    'has the same outcomes in memory and on JetStream',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
          const worlds = createWorlds()
          const memoryStore = createMemoryStore({ now: () => now })
          for (const step of steps) {
            now++
            const [expected, actual] = [
              await perform(memoryStore, worlds, step),
              await perform(jetStreamStore, worlds, step),
            ]
            expect(actual).toEqual(expected)
          }
        }),
        { numRuns: runs, seed: 7 },
      )
    },
    testMilliseconds,
  )
})
