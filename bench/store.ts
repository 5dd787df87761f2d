/**
 * Measures the store's transactions against what JetStream itself gives for the very same messages: the floor.
 * Both run in turns on one nats-server that is started for it, with `sync_interval: always`; results go to
 * `bench/results/store.json`. Run it by `bun bench/store.ts`.
 */

import { mkdir, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { jetstreamManager, StorageType } from '@nats-io/jetstream'
import { connect, headers, type NatsConnection, nuid } from '@nats-io/transport-node'
import pino from 'pino'
import { openJetStreamStore } from '../controller/control-plane/jetstream-store.ts'
import { createClientId, createId } from '../controller/control-plane/shard-key.ts'
import {
  defineKind,
  type Store,
  type Transaction,
  versionsKeptMaximum,
  write,
} from '../controller/control-plane/store.ts'
import { startTestNatsServer } from '../controller/control-plane/test-nats-server.ts'

/** What one transaction writes: objects, and events beside them. */
interface Shape {
  readonly name: string
  readonly objects: number
  readonly events: number
  readonly transactions: number
}

interface Rate {
  readonly perSecond: number
  readonly p50Milliseconds: number
  readonly p99Milliseconds: number
}

const shapes: readonly Shape[] = [
  { name: 'one object', objects: 1, events: 0, transactions: 3000 },
  { name: 'one object and its event', objects: 1, events: 1, transactions: 1000 },
  { name: 'a shard, 64 addresses and an event', objects: 65, events: 1, transactions: 300 },
]
const inFlights = [1, 64]
const turns = 3
const clients = 64
const rawStreams = 4
const requestMilliseconds = 60_000

/** About as large as an address with its bookkeeping. */
const value = { owner: 'mac_0123456789abcdefghjkmnpqr', address: '10.20.30.40', host: 'host-b', note: 'x'.repeat(120) }
const kind = defineKind<typeof value>({ name: 'address', prefix: 'adr', dataType: 'shard' })
const clientIds = Array.from({ length: clients }, () => createClientId('prj', Date.now()))

const pickClient = (turn: number): string => clientIds[turn % clients] ?? ''

function describeTransaction(shape: Shape, turn: number): Transaction {
  const projectId = pickClient(turn)
  const id = () => createId('adr', projectId, Date.now())
  const writes = Array.from({ length: shape.objects }, () => write({ kind, id: id(), expect: 'absent', value }))
  const events = Array.from({ length: shape.events }, () => {
    return { type: 'address.allocated', projectId, subject: projectId, data: value }
  })
  return { writes, events, actionId: nuid.next() }
}

async function transact(store: Store, shape: Shape, turn: number): Promise<void> {
  const { outcome } = await store.transact(describeTransaction(shape, turn))
  if (outcome !== 'committed') throw new Error(`a transaction on new objects was answered ${outcome}`)
}

/** The same messages by hand: a conditional publish, or an atomic batch. */
async function publish(connection: NatsConnection, shape: Shape, turn: number): Promise<void> {
  const messages = shape.objects + shape.events
  const batchId = nuid.next()
  for (let i = 1; i <= messages; i++) {
    const fields = headers()
    if (i <= shape.objects) fields.set('Nats-Expected-Last-Subject-Sequence', '0')
    if (messages > 1) {
      fields.set('Nats-Batch-Id', batchId)
      fields.set('Nats-Batch-Sequence', String(i))
      if (i === messages) fields.set('Nats-Batch-Commit', '1')
    }
    const subject = `raw.${turn % rawStreams}.${createId('adr', pickClient(turn), Date.now())}`
    const body = JSON.stringify({ ...value, bookkeeping: 'x'.repeat(220) })
    if (i < messages) {
      connection.publish(subject, body, { headers: fields })
      continue
    }
    const answer = await connection.request(subject, body, { headers: fields, timeout: requestMilliseconds })
    const { error } = answer.json<{ error?: { description: string } }>()
    if (error !== undefined) throw new Error(error.description)
  }
}

async function measure(work: (turn: number) => Promise<void>, count: number, inFlight: number): Promise<Rate> {
  const latencies: number[] = []
  let next = 0
  const begin = performance.now()
  const worker = async () => {
    for (let turn = next++; turn < count; turn = next++) {
      const started = performance.now()
      await work(turn)
      latencies.push(performance.now() - started)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
  const seconds = (performance.now() - begin) / 1000
  latencies.sort((a, b) => a - b)
  const quantile = (share: number) => round(latencies[Math.floor(share * (latencies.length - 1))] ?? 0)
  return { perSecond: Math.round(count / seconds), p50Milliseconds: quantile(0.5), p99Milliseconds: quantile(0.99) }
}

const round = (number: number): number => Math.round(number * 1000) / 1000

/** The turn with the median rate: the machine is shared, and single turns stray. */
const median = (rates: readonly Rate[]): Rate =>
  [...rates].sort((a, b) => a.perSecond - b.perSecond)[Math.floor(rates.length / 2)] ?? {
    perSecond: 0,
    p50Milliseconds: 0,
    p99Milliseconds: 0,
  }

async function createRawStreams(connection: NatsConnection): Promise<void> {
  const manager = await jetstreamManager(connection)
  for (let i = 0; i < rawStreams; i++) {
    await manager.streams.add({
      name: `raw_${i}`,
      subjects: [`raw.${i}.>`],
      storage: StorageType.File,
      max_msgs_per_subject: versionsKeptMaximum,
      allow_direct: true,
      allow_atomic: true,
    })
  }
}

async function main(): Promise<void> {
  const server = await startTestNatsServer()
  const connection = await connect({ servers: server.url })
  // A connection of its own for the floor, so that the store's replica does not read along on it.
  const rawConnection = await connect({ servers: server.url })
  const store = await openJetStreamStore({ connection, logger: pino({ level: 'warn' }) })
  await createRawStreams(rawConnection)
  const results = []
  for (const shape of shapes) {
    for (const inFlight of inFlights) {
      const [ours, floor]: [Rate[], Rate[]] = [[], []]
      for (let i = 0; i < turns; i++) {
        ours.push(await measure((turn) => transact(store, shape, turn), shape.transactions, inFlight))
        floor.push(await measure((turn) => publish(rawConnection, shape, turn), shape.transactions, inFlight))
      }
      const [transacted, published] = [median(ours), median(floor)]
      const ratio = round(transacted.perSecond / published.perSecond)
      results.push({ shape: shape.name, inFlight, store: transacted, jetStream: published, ratio })
      console.log(
        `${shape.name}, ${inFlight} in flight: ${transacted.perSecond}/s, JetStream alone ${published.perSecond}/s`,
      )
    }
  }
  const report = {
    measuredAt: new Date().toISOString(),
    cores: availableParallelism(),
    serverVersion: connection.info?.version,
    settings: { syncInterval: 'always', replicas: 1, microshards: rawStreams, turns },
    results,
  }
  const folder = new URL('./results/', import.meta.url).pathname
  await mkdir(folder, { recursive: true })
  await writeFile(`${folder}store.json`, `${JSON.stringify(report, null, 2)}\n`)
  await store.close()
  await connection.close()
  await rawConnection.close()
  await server.stop()
}

await main()
