/**
 * A program that changes counters as a controller does: by the way in that the API has, or by hand in the ways that it is
 * measured against. It obeys JSON lines and ends when its standard input does.
 */

import { createInterface } from 'node:readline'
import { connect } from '@nats-io/transport-node'
import pino from 'pino'
import * as v from 'valibot'
import { type Outcome, refuse, succeed } from '../../controller/contract/problem.ts'
import { openJetStreamStore } from '../../controller/control-plane/jetstream-store.ts'
import { openLeaseBucket } from '../../controller/control-plane/leases/lease-bucket.ts'
import { openLeases } from '../../controller/control-plane/leases/leases.ts'
import { findMicroshard } from '../../controller/control-plane/microshard-directory.ts'
import { createNamedId } from '../../controller/control-plane/shard-key.ts'
import { defineKind, type Store, write } from '../../controller/control-plane/store.ts'
import { createActionQueue } from '../../controller/control-plane/writes/action-queue.ts'
import { createOwnerBus } from '../../controller/control-plane/writes/owner-bus.ts'
import { createOwnerRouting } from '../../controller/control-plane/writes/owner-routing.ts'
import { createActionPerformer, type Run } from '../../controller/control-plane/writes/perform-action.ts'
import { driveClosedLoop } from '../allocate/closed-loop.ts'
import { type Answer, type Command, commandSchema, type Load, type Policy, type Report } from './messages.ts'
import { createZipf } from './zipf.ts'

interface Counter {
  readonly count: number
  /** As large as a small object of ours. */
  readonly padding: string
}

interface Counted {
  readonly version: number
}

const counterKind = defineKind<Counter>({ name: 'counter', prefix: 'ctr', dataType: 'counter' })
export const paddingBytes = 200
const padding = 'x'.repeat(paddingBytes)
const attemptsMaximum = 32
const keyOf = (name: string, number: number) => createNamedId('ctr', 'system', name, String(number))
const counted = (count: number): Counter => ({ count, padding })

type Work = (id: string) => Promise<boolean>

interface Controller {
  readonly store: Store
  readonly works: Readonly<Record<Policy, Work>>
  readonly counts: () => { readonly begun: number; readonly wasted: number }
}

let controller: Controller | undefined

async function open(url: string, name: string): Promise<Controller> {
  const connection = await connect({ servers: url })
  const logger = pino({ level: 'warn' }, pino.destination(2))
  const store = await openJetStreamStore({ connection, logger })
  const now = () => performance.now()
  const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes))
  const sleep = (milliseconds: number) => Bun.sleep(milliseconds)
  const onTrouble = (trouble: unknown) => logger.warn({ err: trouble }, 'leases')
  const leases = await openLeases({
    ...{ id: name, address: name, version: '0', since: new Date().toISOString(), now, onTrouble },
    bucket: await openLeaseBucket({ connection, replicas: 1, onTrouble }),
    createNonce: () => crypto.randomUUID(),
  })
  const actions = createActionQueue({ store, now, random, sleep })
  const owners = createOwnerRouting<Counted>({
    leases,
    bus: createOwnerBus<Counted>({
      ...{ connection, holder: name, logger, encode: (answer) => answer },
      decode: (answer) => answer as Counted,
    }),
    microshardOf: (shardKey) => findMicroshard(store.directory.current(), shardKey).id,
    now,
  })
  const run: Run<Counted> = async ({ payload }, { actionId, doneAfter }): Promise<Outcome<Counted>> => {
    const outcome = await actions.act<Counter>({
      ...{ kind: counterKind, id: payload.parameters.id ?? '', actionId },
      ...(doneAfter === undefined ? {} : { doneAfterVersion: doneAfter.version }),
      apply: (current) => ({ kind: 'write', value: counted((current?.value.count ?? 0) + 1) }),
    })
    if (outcome.outcome === 'done') return succeed({ version: outcome.object?.version ?? 0 })
    return refuse({ code: 'conflict', title: outcome.outcome, detail: outcome.outcome })
  }
  owners.serve(run)
  const performer = createActionPerformer<Counted>({
    ...{ store, actions, owners, run, random, sleep, logger, now: Date.now },
    types: { count: { kind: counterKind, parameter: 'id', isKept: true } },
  })
  const byHand = { begun: 0, wasted: 0 }
  const caller = { tokenId: 'tok_bench', scope: 'admin', projectId: null } as const
  let asked = 0

  const tryByHand = async (id: string, latest: boolean): Promise<boolean> => {
    const current = await store.get(counterKind, id, { latest })
    const value = counted((current?.value.count ?? 0) + 1)
    byHand.begun++
    const expect = current?.version ?? 'absent'
    const outcome = await store.transact({ writes: [write({ kind: counterKind, id, expect, value })] })
    if (outcome.outcome !== 'committed') byHand.wasted++
    return outcome.outcome === 'committed'
  }
  const retry = async (id: string, latest: boolean) => {
    for (let attempt = 0; attempt < attemptsMaximum; attempt++) if (await tryByHand(id, latest)) return true
    return false
  }
  const works: Record<Policy, Work> = {
    raw: (id) => tryByHand(id, false),
    'blind retry': (id) => retry(id, false),
    'read first': (id) => retry(id, true),
    async ours(id) {
      const actionId = `${name} ${++asked}`
      const outcome = await performer.performControlPlaneAction(
        {
          ...{ clientId: id, actionType: 'count', dataType: counterKind.dataType },
          payload: { parameters: { id }, query: {}, body: {} },
        },
        { caller, traceparent: '', actionId, seed: actionId },
      )
      return outcome.ok && outcome.value.kind === 'answered'
    },
  }
  return {
    store,
    works,
    counts() {
      const { written, wasted } = actions.counts()
      return { begun: byHand.begun + written + wasted, wasted: byHand.wasted + wasted }
    },
  }
}

async function run({ works, counts }: Controller, load: Load): Promise<Report> {
  const { policy, name, keys, zipf, inFlight } = load
  const draw = zipf === null ? null : createZipf(keys, zipf, Math.random)
  // Where nobody else is, each writer has its key to itself, which it gives back.
  const free = Array.from({ length: keys }, (_, number) => number)
  const before = counts()
  const work = async () => {
    const number = draw === null ? (free.pop() ?? 0) : draw()
    const isDone = await works[policy](keyOf(name, number))
    if (draw === null) free.push(number)
    return isDone ? 1 : 0
  }
  const report = await driveClosedLoop({ ...load, inFlight, work })
  const after = counts()
  return { ...report, begun: after.begun - before.begun, wasted: after.wasted - before.wasted }
}

async function obey(command: Command): Promise<Answer> {
  if (command.kind === 'open') {
    controller = await open(command.url, command.name)
    return { kind: 'ready' }
  }
  if (controller === undefined) throw new Error('BUG: a controller that was not opened')
  switch (command.kind) {
    case 'create': {
      const { store } = controller
      for (let number = 0; number < command.keys; number++) {
        const id = keyOf(command.name, number)
        await store.transact({ writes: [write({ kind: counterKind, id, expect: 'absent', value: counted(0) })] })
      }
      return { kind: 'ready' }
    }
    case 'run':
      return { kind: 'ran', report: await run(controller, command.load) }
    default:
      return command satisfies never
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await obey(v.parse(commandSchema, JSON.parse(line)))
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
process.exit(0)
