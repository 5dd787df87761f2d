/** Allocators of several controllers, each with a store of its own on one nats-server, which is killed meanwhile. */

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { connect } from '@nats-io/transport-node'
import pino from 'pino'
import { openJetStreamStore } from '../control-plane/jetstream-store.ts'
import { createClientId, createId } from '../control-plane/shard-key.ts'
import { type Store, write } from '../control-plane/store.ts'
import { waitUntil } from '../control-plane/store-contract.ts'
import { startTestNatsServer, type TestNatsServer } from '../control-plane/test-nats-server.ts'
import { addressKind, machineKind, networkKind, shardKind, shardOccupancyKind } from '../objects.ts'
import { createAddressAllocator } from './allocator.ts'
import { createShardBitmap, decodeBitmap, encodeBitmap, isTaken } from './taken-bitmap.ts'

// Generous, since bun ends every child process, also the server, once a test is late.
setDefaultTimeout(60_000)

const controllers = 3
const callersOfEach = 12
const turns = 16
const cidrs = ['10.0.0.0/26', '10.0.1.0/26']
const logger = pino({ level: 'silent' })

let server: TestNatsServer
const cleanups: (() => Promise<unknown> | unknown)[] = []

beforeAll(async () => {
  server = await startTestNatsServer()
})
afterEach(async () => {
  while (cleanups.length > 0) await cleanups.pop()?.()
})
afterAll(() => server.stop())

async function open(): Promise<Store> {
  const connection = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 20 })
  cleanups.push(() => connection.close())
  const store = await openJetStreamStore({ connection, logger })
  cleanups.push(() => store.close())
  return store
}

async function createSpace(store: Store) {
  const projectId = createClientId('prj', Date.now())
  const networkId = createId(networkKind.prefix, projectId, Date.now())
  const writes = cidrs.flatMap((cidr, i) => {
    const id = createId(shardKind.prefix, projectId, i)
    const shard = { name: cidr, projectId, poolId: createId('pol', projectId, 0), cidr, reserved: false, networkId }
    const occupancy = { takenBitmap: encodeBitmap(createShardBitmap(cidr)), resourceCount: 0, lastAccessedAt: null }
    return [
      write({ kind: shardKind, id, expect: 'absent', value: shard }),
      write({ kind: shardOccupancyKind, id, expect: 'absent', value: occupancy }),
    ]
  })
  expect((await store.transact({ writes })).outcome).toBe('committed')
  return { projectId, networkId }
}

function createAllocator(store: Store) {
  const allocator = createAddressAllocator({ store, now: Date.now, sleep: (milliseconds) => Bun.sleep(milliseconds) })
  cleanups.push(() => allocator.close())
  return allocator
}

/** What of an answer counts: whoever was told that it is unavailable asks again. */
async function insist<Value>(ask: () => Promise<{ readonly ok: boolean } & Value>): Promise<Value> {
  for (;;) {
    const outcome = await ask()
    if (outcome.ok) return outcome
    await Bun.sleep(5)
  }
}

test('hold no address twice, and leave what each of them and whoever comes later sees alike', async () => {
  const stores = await Promise.all(Array.from({ length: controllers }, open))
  const [first] = stores
  if (first === undefined) throw new Error('BUG: no store')
  const { projectId, networkId } = await createSpace(first)
  await waitUntil(
    () => stores.every((store) => store.snapshot(shardKind, projectId).length === cidrs.length),
    'all see',
  )
  const holders = new Map<string, string>()
  let done = 0

  const call = async (allocator: ReturnType<typeof createAllocator>, caller: string) => {
    for (let turn = 0; turn < turns; turn++) {
      const ownerId = createId(machineKind.prefix, projectId, Date.now())
      const { value } = await insist(async () => {
        const outcome = await allocator.allocateAddress({ networkId, ownerId })
        return outcome.ok ? outcome : { ok: false, value: null }
      })
      const address = value?.address ?? ''
      expect(holders.get(address)).toBeUndefined()
      holders.set(address, ownerId)
      done++
      const isLast = turn === turns - 1 && caller.endsWith('-0')
      if (isLast) return
      await Bun.sleep(0)
      // Whoever is given it next may be told before this one is.
      holders.delete(address)
      await insist(() => allocator.releaseAddresses(ownerId))
    }
  }
  const allocators = stores.map(createAllocator)
  const calling = allocators.flatMap((allocator, i) =>
    Array.from({ length: callersOfEach }, (_, k) => call(allocator, `${i}-${k}`)),
  )
  await waitUntil(() => done > controllers * callersOfEach, 'allocations go on')
  await server.kill()
  await server.start()
  await Promise.all(calling)

  const held = [...holders].map(([address, ownerId]) => `${address} ${ownerId}`).sort()
  expect(held).toHaveLength(controllers)
  const listHeld = (store: Store) =>
    store
      .snapshot(addressKind, projectId)
      .map(({ value }) => `${value.address} ${value.ownerId}`)
      .sort()
  for (const store of [...stores, await open()]) {
    await waitUntil(() => listHeld(store).length === held.length, 'memory has followed')
    expect(listHeld(store)).toEqual(held)
    const addresses = store.snapshot(addressKind, projectId)
    for (const { id, value } of store.snapshot(shardOccupancyKind, projectId)) {
      const own = addresses.filter((address) => address.value.shardId === id)
      expect(value.resourceCount).toBe(own.length)
      const bitmap = decodeBitmap(value.takenBitmap)
      for (const { value: address } of own) {
        expect(isTaken(bitmap, Number(address.address.split('.').at(-1)))).toBe(true)
      }
    }
    for (const { id, version } of addresses) {
      const history = await store.history(addressKind, id)
      const versions = history.map((object) => object.version)
      expect(versions).toEqual(Array.from({ length: versions.length }, (_, i) => version - versions.length + 1 + i))
      expect(history.map(({ value }) => value === null)).toEqual(versions.map((one) => one % 2 === 0))
    }
  }
})
