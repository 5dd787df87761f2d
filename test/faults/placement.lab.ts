/**
 * Microshards on a real cluster of three servers: one more joins, one is drained, one is moved by hand, under writers.
 * By hand, for its length: bun test ./test/faults/placement.lab.ts
 */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { jetstreamManager } from '@nats-io/jetstream'
import pino from 'pino'
import { type JetStreamStore, openJetStreamStore } from '../../controller/control-plane/jetstream-store.ts'
import { type Lifecycle, openLifecycle } from '../../controller/control-plane/lifecycle/open-lifecycle.ts'
import { startWriters } from '../../controller/control-plane/lifecycle/test-writers.ts'
import { type OutboxRelay, startOutboxRelay } from '../../controller/control-plane/outbox-relay.ts'
import { shardKind } from '../../controller/control-plane/store-contract.ts'
import { type Bus, openBus } from '../../controller/nats/bus.ts'
import { patiently } from '../../controller/nats/cluster/patience.ts'
import { startTestCluster, type TestCluster } from '../../controller/nats/cluster/test-cluster.ts'
import { silentLogger, waitFor } from '../../controller/nats/test-bus.ts'

setDefaultTimeout(180_000)
const logger = pino({ level: 'silent' })
const replicas = 3
const waitSeconds = 60

let cluster: TestCluster
let bus: Bus
let store: JetStreamStore
let lifecycle: Lifecycle
const driving = new AbortController()
let driven: Promise<void>
let relay: OutboxRelay

beforeAll(async () => {
  cluster = await startTestCluster()
  const { stateFolder, servers } = cluster
  bus = await openBus({ stateFolder, servers, listen: '', logger: silentLogger })
  const { connection, hostsConnection } = bus
  store = await patiently(() => openJetStreamStore({ connection, logger, replicas }))
  // Operations tell of their end by events.
  relay = await startOutboxRelay({ connection, logger, replicas })
  lifecycle = openLifecycle({
    store,
    connections: [connection, hostsConnection],
    replicas,
    logger,
    nodes: {
      list: async () =>
        (await bus.listServers()).map(({ node, ...server }) => ({ ...server, name: node, isAlive: true })),
    },
    placement: { settleMilliseconds: 0, turnMilliseconds: 200 },
    dataTypeOf: (action) => action,
  })
  driven = lifecycle.drive(driving.signal)
})

afterAll(async () => {
  driving.abort()
  await driven
  await relay?.stop()
  await store?.close()
  await bus?.close()
  await cluster?.stop()
})

const nodesOf = async () => (await lifecycle.service.listNodes()).map(({ name, microshards }) => [name, microshards])
const placedNodes = async () => (await store.directory.refresh()).placement.nodes
const isStill = async () => (await store.directory.refresh()).operations.length === 0

/** The directory's nodes lead indeed. */
async function isLedAsSaid(): Promise<boolean> {
  const manager = await jetstreamManager(bus.connection)
  for (const { id, node } of (await store.directory.refresh()).microshards) {
    const { cluster: group } = await manager.streams.info(`ms_${id}`)
    if (node === null || group?.leader?.endsWith(`-${node}`) !== true) return false
  }
  return true
}

test('nodes join, are drained and moved to by hand: only what must goes elsewhere, and writers write on', async () => {
  await waitFor('three nodes have their share', async () => (await placedNodes()).length === 3, waitSeconds)
  await waitFor('each node leads what is its own', isLedAsSaid, waitSeconds)
  const writers = await startWriters({ stores: [store], count: 8, hasEvents: false, pauseMilliseconds: 20 })
  const before = new Map((await store.directory.refresh()).microshards.map(({ id, node }) => [id, node]))

  await cluster.add('node-4')
  await waitFor(
    'the node that has joined has its share',
    async () => (await placedNodes()).includes('node-4'),
    waitSeconds,
  )
  const after = (await store.directory.refresh()).microshards
  // All were led by a node that had a copy, so only those that went to the new one have a new number.
  const stayed = after.filter(({ node }) => node !== 'node-4')
  for (const { id, node } of stayed) expect([id, node]).toEqual([id, before.get(id) ?? null])
  const nodes = await lifecycle.service.listNodes()
  expect(nodes.find(({ name }) => name === 'node-4')).toMatchObject({ status: 'present', location: 'rack-b' })
  for (const { address } of nodes) expect(address).toMatch(/^127\.0\.0\.1:\d+$/)

  const [first] = after
  const target = nodes.map(({ name }) => name).find((name) => name !== first?.node) ?? ''
  const moved = await lifecycle.service.moveMicroshard(first?.id ?? '', target)
  expect(moved).toMatchObject({ ok: true, value: { kind: 'migrate', sources: [first?.id] } })
  await waitFor('it is moved', isStill, waitSeconds)
  expect((await store.directory.refresh()).microshards[0]?.node).toBe(target)

  await lifecycle.service.drainNode('node-1')
  await waitFor(
    'the drained node to hold nothing',
    async () => {
      const node = (await lifecycle.service.listNodes()).find(({ name }) => name === 'node-1')
      return node?.status === 'drained' && node.copies === 0
    },
    waitSeconds,
  )
  expect(Object.fromEntries(await nodesOf())).toMatchObject({ 'node-1': 0 })
  await waitFor(
    'each node leads what is its own again',
    async () => (await isStill()) && (await isLedAsSaid()),
    waitSeconds,
  )
  await writers.stop()
  for (const { shardId, shardVersion } of writers.writers) {
    expect((await store.get(shardKind, shardId, { latest: true }))?.version).toBe(shardVersion)
  }
})
