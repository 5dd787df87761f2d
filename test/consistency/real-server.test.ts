/**
 * Histories of two controllers over a real nats-server that is killed and frozen, while the owner of what is contended
 * loses its connection for good: each must be consistent. SLUICE_CONSISTENCY_SECONDS has it go on for longer.
 */

import { afterEach, expect, setDefaultTimeout, test } from 'bun:test'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import pino from 'pino'
import { type JetStreamStore, openJetStreamStore } from '../../controller/control-plane/jetstream-store.ts'
import { startTestNatsServer } from '../../controller/control-plane/test-nats-server.ts'
import { createActionQueue } from '../../controller/control-plane/writes/action-queue.ts'
import { createOwnerBus } from '../../controller/control-plane/writes/owner-bus.ts'
import { createOwnerRouting, ownerLeaseName } from '../../controller/control-plane/writes/owner-routing.ts'
import { type ActionPerformer, createActionPerformer } from '../../controller/control-plane/writes/perform-action.ts'
import { checkHistory, describeFaults } from './check-history.ts'
import { createRecorder } from './history.ts'
import { journalId, journalKind, readFinals, viewJournal } from './journal.ts'
import { appendByAction, createJournalRun, journalTypes, type Made } from './simulated-controllers.ts'

const seconds = Number(process.env.SLUICE_CONSISTENCY_SECONDS ?? 1)
setDefaultTimeout(seconds * 10_000 + 120_000)

const clients = 6
const microshardId = '1'
const logger = pino({ level: 'silent' })
const cleanups: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  while (cleanups.length > 0) await cleanups.pop()?.()
})

interface Controller {
  readonly name: string
  readonly connection: NatsConnection
  readonly store: JetStreamStore
  readonly performer: ActionPerformer<Made>
}

async function openController(url: string, name: string, holding: { holder: string; token: number }) {
  const connection = await connect({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 20 })
  cleanups.push(() => connection.close())
  const store = await openJetStreamStore({ connection, logger })
  cleanups.push(() => store.close())
  const now = () => performance.now()
  const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes))
  const sleep = (milliseconds: number) => Bun.sleep(milliseconds)
  const actions = createActionQueue({ store, now, random, sleep })
  const signal = new AbortController().signal
  const lease = () => ({ name: '', token: holding.token, signal, isHeld: () => holding.holder === name })
  const claim = {
    current: () => (holding.holder === name ? lease() : null),
    held: async () => null,
    release: async () => undefined,
  }
  const find = () => ({ name: ownerLeaseName(microshardId), ...holding })
  const owners = createOwnerRouting<Made>({
    leases: { holder: name, claim: () => claim, find },
    bus: createOwnerBus<Made>({
      ...{ connection, holder: name, logger, encode: (made) => made },
      decode: (made) => made as Made,
    }),
    ...{ microshardOf: () => microshardId, now, answerMilliseconds: 500 },
  })
  const run = createJournalRun(actions)
  owners.serve(run)
  const performer = createActionPerformer<Made>({
    ...{ store, run, owners, random, sleep, logger, types: journalTypes, now: Date.now },
    // Everything is left to the owner, so that its loss is met by all.
    actions: { follow: actions.follow, isContended: () => true },
  })
  return { name, connection, store, performer }
}

test('while the server is killed and frozen and the owner is lost, nothing is lost and nothing is done twice', async () => {
  const server = await startTestNatsServer()
  cleanups.push(() => server.stop())
  const holding = { holder: 'two', token: 1 }
  const one = await openController(server.url, 'one', holding)
  const two = await openController(server.url, 'two', holding)
  const ids = [journalId('system', 'a'), journalId('system', 'b')]
  const recorder = createRecorder()
  let isOver = false
  let asked = 0
  let askedOfOne = 0

  const work = async (client: number, { performer, store, connection }: Controller) => {
    while (!isOver && !connection.isClosed()) {
      // Whatever is refused at once leaves others their turn.
      await Bun.sleep(1)
      const object = ids[client % ids.length] ?? ''
      const by = { client: `client ${client}`, object }
      const actionId = `a${++asked}`
      if (client < clients) askedOfOne++
      await recorder.act({ ...by, actionId }, () => appendByAction(performer, object, actionId)).catch(() => undefined)
      const promise = asked % 2 === 0 ? 'memory' : 'latest'
      await recorder
        .read({ ...by, promise }, async () =>
          viewJournal(await store.get(journalKind, object, { latest: promise === 'latest' })),
        )
        .catch(() => undefined)
    }
  }
  // Whoever works at the one that is lost is not waited for.
  const survivors = Array.from({ length: clients }, (_, client) => work(client, one))
  for (let client = clients; client < 2 * clients; client++) void work(client, two)

  for (const until = performance.now() + seconds * 1000; performance.now() < until; ) {
    await Bun.sleep(150)
    await server.kill()
    await server.start()
    await Bun.sleep(150)
    await server.pause()
    await Bun.sleep(200)
    server.resume()
  }
  await two.connection.close()
  await Bun.sleep(300)
  const before = askedOfOne
  holding.holder = 'one'
  holding.token = 2
  while (askedOfOne < before + 20) await Bun.sleep(20)
  isOver = true
  await Promise.all(survivors)

  const last = await openController(server.url, 'last', holding)
  const finals = await readFinals(last.store, ids)
  const operations = recorder.operations()
  expect(describeFaults(checkHistory({ operations, finals }))).toBe('')
  const done = operations.filter((operation) => operation.kind === 'action' && operation.answer.kind === 'done')
  expect(done.length).toBeGreaterThan(20)
})
