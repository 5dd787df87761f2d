/** Starts migrations, waits for their end, and tells from their events and moves how they went. Speaks the API only. */

import * as v from 'valibot'
import { pageSchema } from '../../controller/contract/common.ts'
import { cloudEventSchema, eventTypes } from '../../controller/contract/events.ts'
import { type Migration, migrationSchema } from '../../controller/contract/migration.ts'
import { waitUntil } from '../../lab/wait.ts'
import { median } from '../statistics.ts'
import type { System } from '../system/system.ts'
import type { EchoConnection } from './messages.ts'

export interface Step {
  readonly ownerId: string
  readonly step: string
  /** Wall-clock milliseconds. */
  readonly at: number
}

export const startMigration = ({ api }: System, shardId: string, body: object): Promise<Migration> =>
  api.call(migrationSchema, 'POST', `/v1/shards/${shardId}/migrate`, body)

export const showMigration = ({ api }: System, id: string): Promise<Migration> =>
  api.call(migrationSchema, 'GET', `/v1/migrations/${id}`)

const isAtRest = ({ status }: Migration) => ['done', 'blocked', 'cancelled', 'rolled-back'].includes(status)

export interface FollowOptions {
  readonly timeoutSeconds: number
  readonly intervalMilliseconds?: number
  /** Called at each look. */
  readonly onLook?: (migration: Migration) => void
}

/** Resolves when it goes no further by itself. A controller that is away for a while is waited for. */
export async function awaitRest(system: System, id: string, options: FollowOptions): Promise<Migration> {
  let last: Migration | undefined
  let trouble = ''
  const isOver = async () => {
    try {
      last = await showMigration(system, id)
      options.onLook?.(last)
    } catch (error) {
      trouble = String(error)
      return false
    }
    return isAtRest(last)
  }
  await waitUntil(isOver, {
    what: () => `the end of ${id}: ${last === undefined ? trouble : describeMigration(last)}`,
    timeoutSeconds: options.timeoutSeconds,
    intervalMilliseconds: options.intervalMilliseconds ?? 100,
  })
  if (last === undefined) throw new Error('BUG: at rest and never seen')
  return last
}

/** Where it is, with everybody who has not arrived. */
export function describeMigration({ status, reason, movesDone, movesTotal, moves }: Migration): string {
  const left = moves.filter(({ step }) => step !== 'done')
  const named = left.map(({ name, step, reason: why }) => `${name} is ${step}${why === null ? '' : ` (${why})`}`)
  return `${status}, ${movesDone} of ${movesTotal} done${reason === null ? '' : `, ${reason}`}; ${named.join('; ')}`
}

const eventsPerPage = 1000

/** The id of the newest event: where those of what comes next begin. */
export async function findNewestEvent({ api }: System): Promise<string> {
  const page = await api.call(pageSchema(cloudEventSchema), 'GET', '/v1/events?format=json&limit=1')
  const [newest] = page.items
  if (newest === undefined) throw new Error('BUG: a system without any event')
  return newest.id
}

/** The steps of a migration since that event, in their order. */
export async function readSteps({ api }: System, migrationId: string, afterId: string): Promise<readonly Step[]> {
  const steps: Step[] = []
  let after: string | null = afterId
  while (after !== null) {
    const query = `format=json&type=migration.step&limit=${eventsPerPage}&after=${after}`
    const page: v.InferOutput<typeof eventPageSchema> = await api.call(eventPageSchema, 'GET', `/v1/events?${query}`)
    for (const { subject, time, data } of page.items) {
      if (subject !== migrationId) continue
      const { ownerId, step } = v.parse(eventTypes['migration.step'], data)
      steps.push({ ownerId, step, at: Date.parse(time) })
    }
    after = page.next
  }
  return steps
}

const eventPageSchema = pageSchema(cloudEventSchema)

export interface Pace {
  readonly totalSeconds: number
  readonly moveSeconds: readonly number[]
  /** How many moved at the same time: at most, and on average. */
  readonly parallelMaximum: number
  readonly parallelMean: number
}

export function measurePace({ startedAt, finishedAt, moves }: Migration): Pace {
  if (finishedAt === null) throw new Error('BUG: a migration without an end is measured')
  const spans = moves.flatMap((move) =>
    move.startedAt === null || move.finishedAt === null
      ? []
      : [{ from: Date.parse(move.startedAt), to: Date.parse(move.finishedAt) }],
  )
  const totalMilliseconds = Date.parse(finishedAt) - Date.parse(startedAt)
  const moveSeconds = spans.map(({ from, to }) => (to - from) / 1000)
  const underWayAt = (at: number) => spans.filter(({ from, to }) => from <= at && at < to).length
  return {
    totalSeconds: totalMilliseconds / 1000,
    moveSeconds,
    parallelMaximum: Math.max(0, ...spans.map(({ from }) => underWayAt(from))),
    parallelMean: (1000 * moveSeconds.reduce((sum, seconds) => sum + seconds, 0)) / Math.max(1, totalMilliseconds),
  }
}

/** For how long holders were at each step before the next, by the step: the median, in seconds. */
export function measureSteps(steps: readonly Step[]): Readonly<Record<string, number>> {
  const lasting: { readonly step: string; readonly seconds: number }[] = []
  for (const own of Map.groupBy(steps, ({ ownerId }) => ownerId).values()) {
    for (const [index, { step, at }] of own.entries()) {
      const next = own[index + 1]
      if (next !== undefined) lasting.push({ step, seconds: (next.at - at) / 1000 })
    }
  }
  const byStep = Map.groupBy(lasting, ({ step }) => step)
  return Object.fromEntries([...byStep].map(([step, all]) => [step, median(all.map(({ seconds }) => seconds))]))
}

/** The event is made a moment before its write is there, and clocks are read in milliseconds. */
const clockMilliseconds = 20

/**
 * Connections that ended before those whom they go through had drained for so long. One that nobody had begun to drain is
 * lost as well.
 */
export function findLost(
  connections: readonly EchoConnection[],
  steps: readonly Step[],
  holders: ReadonlyMap<string, readonly string[]>,
  drainSeconds: number,
): readonly EchoConnection[] {
  return connections.filter(({ target, endedAt }) => {
    if (endedAt === null) return false
    const owners = holders.get(target.address) ?? []
    const drains = steps.filter(({ ownerId, step }) => step === 'draining' && owners.includes(ownerId))
    const limit = Math.min(...drains.map(({ at }) => at)) + drainSeconds * 1000 - clockMilliseconds
    return endedAt < limit
  })
}
