/**
 * Writers of journals on a cluster, each with a store of its own as a controller has one, while faults are done to
 * the cluster; and the judgement of what they saw. They connect to its NATS servers and write journals alone.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import pino from 'pino'
import type { Actions } from '../../controller/control-plane/act.ts'
import { type JetStreamStore, openJetStreamStore } from '../../controller/control-plane/jetstream-store.ts'
import { createClientId } from '../../controller/control-plane/shard-key.ts'
import { OutcomeUnknownError, StoreUnavailableError } from '../../controller/control-plane/store.ts'
import { createActionQueue } from '../../controller/control-plane/writes/action-queue.ts'
import { openClusterBus } from '../../controller/nats/cluster/cluster-bus.ts'
import { patiently } from '../../controller/nats/cluster/patience.ts'
import { checkHistory, describeFaults } from './check-history.ts'
import type { ActionAnswer, Operation } from './history.ts'
import { appendTo, journalId, journalKind, readFinals, viewJournal } from './journal.ts'

const writersMaximum = 4
const journalCount = 8
const pauseMilliseconds = 60
const readSecondsMaximum = 60

export interface FaultyWriters {
  chooseFault(): {
    readonly what: 'kill' | 'freeze' | 'cut'
    readonly name: string
    readonly program: 'node' | 'controller'
  }
  /** A question that is answered with true once every writer has written since now. */
  hasWrittenSince(): () => Promise<boolean>
  /** What each writer was answered last, for whoever waits in vain. */
  describe(): string
  /** Ends them, and tells what is wrong with what they saw. */
  judge(): Promise<readonly string[]>
}

export interface FaultyWritersOptions {
  /** Of a controller: it has the cluster's keys. */
  readonly stateFolder: string
  readonly servers: readonly string[]
  readonly seed: number
}

export async function createFaultyWriters(options: FaultyWritersOptions): Promise<FaultyWriters> {
  const logger = pino({ level: 'silent' })
  const { stateFolder, servers } = options
  const open = async () => {
    const bus = await openClusterBus({ stateFolder, servers, logger })
    const { connection, replicas } = bus
    const store = await patiently(() => openJetStreamStore({ connection, logger, replicas }))
    const bytes = (count: number) => crypto.getRandomValues(new Uint8Array(count))
    const means = { now: () => performance.now(), random: bytes, sleep: (milliseconds: number) => sleep(milliseconds) }
    return { bus, store, actions: createActionQueue({ store, ...means }) }
  }
  const opened = await Promise.all(Array.from({ length: 2 }, open))
  const clientId = createClientId('prj', Date.now())
  const ids = Array.from({ length: journalCount }, (_, i) => journalId(clientId, `journal ${i}`))
  const random = createRandom(options.seed)
  const operations: Operation[] = []
  const surprises: string[] = []
  /** Of what was answered as not done, what was said. */
  const refusals = new Map<string, string>()
  const writtenAt = Array.from({ length: writersMaximum }, () => 0)
  const lastAnswers = Array.from({ length: writersMaximum }, () => 'nothing yet')
  let instant = 0
  let isEnding = false

  async function write(
    writer: number,
    own: { readonly store: JetStreamStore; readonly actions: Actions },
  ): Promise<void> {
    const draw = createRandom(options.seed * 1_000 + writer)
    for (let turn = 0; !isEnding; turn++) {
      const object = ids[draw(ids.length)] ?? ''
      const actionId = `act-${writer}-${turn}`
      const calledAt = ++instant
      const calledMilliseconds = performance.now()
      lastAnswers[writer] = `nothing to ${object}`
      const answer = await append(own.actions, object, actionId, {
        onSurprise: (cause) => surprises.push(String(cause)),
        onRefusal: (words) => refusals.set(actionId, words),
      })
      const answeredAt = ++instant
      const took = Math.round(performance.now() - calledMilliseconds)
      lastAnswers[writer] = `${answer.kind} after ${took} ms to ${object}`
      if (answer.kind === 'done') writtenAt[writer] = answeredAt
      operations.push({ kind: 'action', client: `writer ${writer}`, object, actionId, answer, calledAt, answeredAt })
      if (turn % 4 === 0) await read(own.store, `writer ${writer}`, object)
      await sleep(pauseMilliseconds)
    }
  }

  async function read(store: JetStreamStore, client: string, object: string): Promise<void> {
    const calledAt = ++instant
    try {
      const seen = viewJournal(await store.get(journalKind, object, { latest: true }))
      const { version, entries } = seen ?? { version: 0, entries: [] }
      operations.push({
        kind: 'read',
        client,
        object,
        promise: 'latest',
        version,
        entries,
        calledAt,
        answeredAt: ++instant,
      })
    } catch {
      // Nothing was seen while its leader was away.
    }
  }

  const writing = Promise.all(
    writtenAt.map((_, writer) => {
      const own = opened[writer % opened.length]
      return own === undefined ? undefined : write(writer, own)
    }),
  )
  writing.catch(() => {})

  return {
    chooseFault() {
      const what = (['kill', 'freeze', 'cut'] as const)[random(3)] ?? 'kill'
      const program = (['node', 'controller'] as const)[random(2)] ?? 'node'
      return { what, program, name: `${program}-${1 + random(3)}` }
    },
    hasWrittenSince() {
      const since = instant
      return async () => writtenAt.every((at) => at > since)
    },
    describe: () => lastAnswers.map((answer, writer) => `writer ${writer}: ${answer}`).join('; '),
    async judge() {
      isEnding = true
      await writing
      const [first] = opened
      const finals = first === undefined ? new Map() : await readInTime(() => readFinals(first.store, ids))
      for (const { store, bus } of opened) {
        await store.close()
        await bus.close()
      }
      const faults = checkHistory({ operations, finals })
      const told = describeFaults(faults)
      const said = [...refusals].filter(([actionId]) => told.includes(`${actionId} `)).map((words) => words.join(': '))
      return [...surprises, ...(faults.length === 0 ? [] : [told, ...said])]
    },
  }
}

async function append(
  actions: Actions,
  object: string,
  actionId: string,
  means: { readonly onSurprise: (cause: unknown) => void; readonly onRefusal: (words: string) => void },
): Promise<ActionAnswer> {
  try {
    const outcome = await actions.act(appendTo(object, actionId))
    if (outcome.outcome === 'untold') return { kind: 'unknown' }
    if (outcome.outcome !== 'done') {
      means.onRefusal(JSON.stringify(outcome))
      return { kind: 'notDone' }
    }
    const own = outcome.object?.value?.entries.find((entry) => entry.actionId === actionId)
    return own === undefined ? { kind: 'unknown' } : { kind: 'done', version: own.version }
  } catch (cause) {
    if (!(cause instanceof OutcomeUnknownError)) means.onSurprise(cause)
    return { kind: 'unknown' }
  }
}

/** The last leader may still be elected. */
async function readInTime<Result>(read: () => Promise<Result>): Promise<Result> {
  const deadline = performance.now() + 1000 * readSecondsMaximum
  for (;;) {
    try {
      return await read()
    } catch (cause) {
      if (!(cause instanceof StoreUnavailableError) || performance.now() > deadline) throw cause
      await sleep(pauseMilliseconds)
    }
  }
}

/** The same numbers for the same seed, from 0 to below the limit. */
function createRandom(seed: number): (limit: number) => number {
  let drawn = 0
  return (limit) => Bun.hash.crc32(`${seed} ${drawn++}`) % limit
}
