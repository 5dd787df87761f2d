/**
 * Learns from the log of actions, of all controllers, in the log's order: what it has learned is kept in a file with the
 * place up to where, so that a controller that starts again goes on where it was. It follows the stream ACTIONS and
 * writes that one file.
 */

import { jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import { type FollowStart, followStream } from '../../control-plane/follow-stream.ts'
import { readFileOrNull, secretMode, writeDurableFile } from '../../nats/durable-file.ts'
import { createNextActionModel, type NextActionModel } from '../next-action/next-action-model.ts'
import { describeModel, parseModel } from '../next-action/saved-model.ts'
import { actionStream, actionSubjects } from './action-log.ts'
import { type ActionRecord, decodeActions } from './action-record.ts'

export interface LearnerOptions {
  readonly connection: NatsConnection
  readonly file: string
  readonly logger: Pick<Logger, 'info' | 'warn'>
  /** Told of each action after it was learned. `isLive`: it has come just now, and was not caught up with. */
  readonly onAction: (action: ActionRecord, from: { readonly controller: string; readonly isLive: boolean }) => void
}

export interface Learner {
  readonly model: NextActionModel
  /** Up to where in the log. */
  sequence(): number
  save(): Promise<void>
  close(): Promise<void>
}

const saveMilliseconds = 5 * 60_000

export async function openLearner(options: LearnerOptions): Promise<Learner> {
  const { file, logger } = options
  const stopping = new AbortController()
  const { model, sequence: restoredUntil } = await restore(options)
  let sequence = restoredUntil
  let savedUntil = restoredUntil

  async function learn(): Promise<void> {
    let isLive = false
    const start: FollowStart = { kind: 'sequence', sequence: sequence + 1 }
    const { connection } = options
    const { signal } = stopping
    for await (const item of followStream({
      connection,
      stream: actionStream,
      filterSubject: actionSubjects,
      start,
      signal,
    })) {
      if (item.kind !== 'message') {
        isLive = item.kind === 'caughtUp'
        continue
      }
      const { controller, actions } = decodeActions(item.data)
      for (const action of actions) {
        model.observe(describe(action))
        options.onAction(action, { controller, isLive })
      }
      sequence = item.sequence
      // Requests have their turn between messages, and never within one: what is saved has all of it or nothing.
      await Bun.sleep(0)
    }
  }

  async function save(): Promise<void> {
    if (sequence === savedUntil) return
    const until = sequence
    await writeDurableFile(file, describeModel(model.save(), until), secretMode)
    savedUntil = until
  }

  const saveSafely = () =>
    save().catch((cause: unknown) => logger.warn({ err: cause }, 'what was learned of actions was not saved'))
  const learning = learn().catch((cause: unknown) =>
    logger.warn({ err: cause }, 'the log of actions can not be followed: nothing more is learned until the next start'),
  )
  const saving = setInterval(() => void saveSafely(), saveMilliseconds)

  return {
    model,
    sequence: () => sequence,
    save,
    async close() {
      clearInterval(saving)
      stopping.abort()
      await learning
      await saveSafely()
    },
  }
}

/** What another program has written, or what is damaged, is put aside: what is kept of the log is learned anew. */
async function restore({
  file,
  logger,
  connection,
}: LearnerOptions): Promise<{ model: NextActionModel; sequence: number }> {
  const text = await readFileOrNull(file)
  if (text === null) return { model: createNextActionModel(), sequence: 0 }
  const parsed = parseModel(text)
  if (parsed.kind === 'unusable') {
    logger.warn({ file, reason: parsed.reason }, 'what was learned of actions can not be used; it is learned anew')
    return { model: createNextActionModel(), sequence: 0 }
  }
  const last = await readLastSequence(connection)
  // The log is another one: what was learned is still right, and all of the log is new.
  const sequence = parsed.sequence > last ? 0 : parsed.sequence
  logger.info({ sequence, users: parsed.model.users.length }, 'what was learned of actions is restored')
  return { model: createNextActionModel({ saved: parsed.model }), sequence }
}

async function readLastSequence(connection: NatsConnection): Promise<number> {
  const manager = await jetstreamManager(connection, { checkAPI: false })
  const { state } = await manager.streams.info(actionStream)
  return state.last_seq
}

const describe = ({ userAccountId, actionType, at, milliseconds, bytes, status }: ActionRecord) => ({
  userAccountId,
  actionType,
  at,
  resourceUsage: { milliseconds, bytes, ...(refusedForLack.includes(status) ? { loadShare: 1 } : {}) },
})

/** There was no more to be had: of a quota, of room, of the store's time. */
const refusedForLack = [429, 503, 507]
