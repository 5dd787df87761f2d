/**
 * Controllers in one process that change journals through the way in that the API has: each with its own memory, its own
 * queue, and a bus between them that is late, brings things twice and loses them. Everything follows from the seed.
 */

import pino from 'pino'
import { settle } from '../../controller/access/declare-object.ts'
import { refuse, succeed } from '../../controller/contract/problem.ts'
import type { Actions } from '../../controller/control-plane/act.ts'
import type { Lease } from '../../controller/control-plane/leases/lease.ts'
import { createMemoryStore } from '../../controller/control-plane/memory-store.ts'
import type { Store } from '../../controller/control-plane/store.ts'
import { createActionQueue } from '../../controller/control-plane/writes/action-queue.ts'
import {
  createOwnerRouting,
  type OwnerBus,
  type OwnerReply,
  type OwnerRequest,
  ownerLeaseName,
} from '../../controller/control-plane/writes/owner-routing.ts'
import {
  type ActionPerformer,
  createActionPerformer,
  type Run,
} from '../../controller/control-plane/writes/perform-action.ts'
import type { RequestInfo } from '../../controller/services.ts'
import { type Chance, createChance } from '../simulation/random.ts'
import type { ActionAnswer } from './history.ts'
import { appendTo, type JournalValue, journalKind } from './journal.ts'
import { createLaggingStore, type LaggingStore } from './lagging-store.ts'

export interface Made {
  readonly version: number
}

export interface SimulatedController {
  readonly name: string
  readonly lagging: LaggingStore
  readonly performer: ActionPerformer<Made>
}

export interface SimulatedControllers {
  readonly chance: Chance
  /** The truth. */
  readonly shared: Store
  controllers(): readonly SimulatedController[]
  /** Dies in the middle of what it does; another one begins. */
  kill(controller: SimulatedController): void
  /** Another one holds the lease from now on; who held it hears of it late. */
  moveLease(): void
  /** Lets time go on: who waits goes on, at random. */
  tick(): Promise<void>
  /** Lets all go on that waits, and loses nothing any more. */
  calm(): Promise<void>
  /** Has a controller append to a journal. */
  append(controller: SimulatedController, journal: string, actionId: string): Promise<ActionAnswer>
}

export interface Mishaps {
  /** How likely a pause is a long one, 0 to 1. */
  readonly stalls: number
  readonly lostAnswers: number
  /** Of a message between controllers, for each of: it is lost, it comes twice, its reply is lost. */
  readonly lostMessages: number
  /** False: nobody is asked to do what another could. */
  readonly hasOwners: boolean
}

const microshardId = '1'
const ticksMaximum = 400

export function createSimulatedControllers(seed: number, mishaps: Mishaps): SimulatedControllers {
  const chance = createChance(seed)
  let time = 0
  let isCalm = false
  let waiting: (() => void)[] = []
  let begun = 0
  let controllers: SimulatedController[] = []
  let holding = { holder: '', token: 0 }
  const shared = createMemoryStore({ now: () => time, random: chance.bytes })
  const happens = (probability: number) => !isCalm && chance.happens(probability)
  const longPause = () => new Promise<void>((goOn) => waiting.push(goOn))
  const pause = async () => {
    for (let i = chance.below(4); i > 0; i--) await Promise.resolve()
    if (happens(mishaps.stalls)) await longPause()
  }
  const inboxes = new Map<string, (request: OwnerRequest) => Promise<OwnerReply<Made>>>()

  function createBus(own: string, isDead: () => boolean): OwnerBus<Made> {
    return {
      async ask(holder, request) {
        const inbox = inboxes.get(holder)
        if (inbox === undefined) return { kind: 'unheard' }
        await pause()
        if (happens(mishaps.lostMessages)) return { kind: 'unanswered' }
        const copies = happens(mishaps.lostMessages) ? 2 : 1
        const plain = JSON.parse(JSON.stringify(request)) as OwnerRequest
        const replies = Array.from({ length: copies }, async () => {
          await pause()
          return inbox(plain)
        })
        for (const reply of replies) reply.catch(() => {})
        // Who asks may give up while the other is still at it.
        if (happens(mishaps.lostMessages)) return { kind: 'unanswered' }
        const reply = await Promise.race([...replies, patience()])
        await pause()
        return reply === null || happens(mishaps.lostMessages) ? { kind: 'unanswered' } : reply
      },
      serve(answer) {
        inboxes.set(own, (request) => (isDead() ? new Promise(() => {}) : answer(request)))
        return { close: async () => void inboxes.delete(own) }
      },
    }
  }

  /** Some turns of time, whatever is going on. */
  async function patience(): Promise<null> {
    for (let i = 0; i < 5 && !isCalm; i++) await longPause()
    if (isCalm) for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve))
    return null
  }

  function begin(): void {
    const name = `controller-${++begun}`
    const lagging = createLaggingStore(shared, { pause, happens, lostAnswers: mishaps.lostAnswers })
    const { store } = lagging
    const actions = createActionQueue({ store, now: () => time, random: chance.bytes })
    /** What it believes of the lease, which is not always so. */
    let belief = holding
    const lease: Lease = {
      name: ownerLeaseName(microshardId),
      get token() {
        return belief.token
      },
      signal: new AbortController().signal,
      isHeld: () => belief.holder === name,
    }
    const hear = () => {
      if (!happens(0.7)) belief = holding
      return belief
    }
    const owners = createOwnerRouting<Made>({
      leases: {
        holder: name,
        claim: () => ({
          current: () => (hear().holder === name ? lease : null),
          held: async () => null,
          release: async () => undefined,
        }),
        find: (leaseName) => (hear().holder === '' ? null : { name: leaseName, ...belief }),
      },
      bus: createBus(name, lagging.isDead),
      microshardOf: () => microshardId,
      now: () => time,
    })
    const run = createJournalRun(actions)
    owners.serve(run)
    const performer = createActionPerformer<Made>({
      ...{ store, run, owners: mishaps.hasOwners ? owners : undefined },
      actions: { follow: actions.follow, isContended: () => chance.happens(0.7) },
      now: () => time,
      random: chance.bytes,
      sleep: (milliseconds) => (milliseconds >= 1000 ? new Promise(() => {}) : pause()),
      logger: pino({ level: 'silent' }),
      types: journalTypes,
    })
    controllers.push({ name, lagging, performer })
    if (holding.holder === '') holding = { holder: name, token: 1 }
  }

  const self: SimulatedControllers = {
    chance,
    shared,
    controllers: () => controllers,
    kill(controller) {
      controller.lagging.die()
      controllers = controllers.filter((one) => one !== controller)
      begin()
    },
    moveLease() {
      const next = chance.pick(controllers)
      if (next !== undefined) holding = { holder: next.name, token: holding.token + 1 }
    },
    async tick() {
      time += 1 + chance.below(50)
      const due = waiting.filter(() => isCalm || chance.happens(0.5))
      waiting = waiting.filter((goOn) => !due.includes(goOn))
      for (const goOn of due) goOn()
      for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve))
    },
    async calm() {
      isCalm = true
      for (let i = 0; i < ticksMaximum && waiting.length > 0; i++) await self.tick()
    },
    append: ({ performer }, journal, actionId) => appendByAction(performer, journal, actionId),
  }
  for (let i = 0; i < 3; i++) begin()
  return self
}

/** Appends to the journal that an action names. */
export function createJournalRun(actions: Actions): Run<Made> {
  return async (action, request) => {
    const id = action.payload.parameters.id ?? ''
    const { actionId, doneAfter } = request
    const append = appendTo(id, actionId)
    const own = doneAfter === undefined ? append : { ...append, doneAfterVersion: doneAfter.version }
    const settled = await settle(() => actions.act<JournalValue>(own), journalKind.name, id)
    if (!settled.ok) return refuse(settled.problem)
    const entry = settled.value?.value?.entries.find((one) => one.actionId === actionId)
    if (entry === undefined) throw new Error(`BUG: ${actionId} is said to be done, and its journal is without it`)
    return succeed({ version: entry.version })
  }
}

export const journalTypes = { appendToJournal: { kind: journalKind, parameter: 'id', isKept: true } }

/** Asks a controller to append to a journal, and tells what it answered. */
export async function appendByAction(
  performer: ActionPerformer<Made>,
  journal: string,
  actionId: string,
): Promise<ActionAnswer> {
  const outcome = await performer.performControlPlaneAction(
    {
      clientId: journal,
      actionType: 'appendToJournal',
      dataType: journalKind.dataType,
      payload: { parameters: { id: journal }, query: {}, body: {} },
    },
    describeRequest(actionId),
  )
  if (outcome.ok) {
    const { value } = outcome
    return value.kind === 'answered' ? { kind: 'done', version: value.answer.version } : { kind: 'unknown' }
  }
  const { code, detail } = outcome.problem
  return code === 'escalated' && detail.includes('it is not made') ? { kind: 'notDone' } : { kind: 'unknown' }
}

const describeRequest = (actionId: string): RequestInfo => ({
  caller: { tokenId: 'tok_simulation', scope: 'admin', projectId: null },
  traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`,
  seed: actionId,
  actionId,
})
