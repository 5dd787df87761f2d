/**
 * The controller's door for points of others: packets of collectd's network plugin, each by a user who speaks for one host or
 * one project, and what write_http posts with a project's token. What is admitted goes into the stream of points, as an
 * agent's does. It listens and publishes; the API hands requests to it.
 */

import { existsSync, readFileSync } from 'node:fs'
import { jetstream } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import * as v from 'valibot'
import { type Admission, createAdmission } from '../../../agent/contract/collectd/admit-points.ts'
import { createIntake, type Intake } from '../../../agent/contract/collectd/intake.ts'
import type { ValueList } from '../../../agent/contract/collectd/packet-parts.ts'
import { type ControllerCollectdSettings, controllerCollectdSchema } from '../../../agent/contract/collectd/settings.ts'
import { knownTypes, typesDbFile } from '../../../agent/contract/collectd/types-db.ts'
import { createPointSender, type PointMessage, type PointSender } from '../../../agent/contract/point-sender.ts'
import { batchPointsMaximum, type Point, type PointOrigin, pointSubject } from '../../../agent/contract/points.ts'
import type { ControllerContext } from '../../services.ts'
import type { Culprit } from '../metrics/series-limit.ts'
import { culpritsOfExplosions, culpritsOfReports } from './find-culprits.ts'

/** What the API needs of it. */
export interface CollectdRequests {
  /** How many of these were taken; they are in the stream a moment later. */
  take(projectId: string, lists: readonly ValueList[]): number
}

export interface CollectdEntry extends CollectdRequests {
  close(): Promise<void>
}

export interface CollectdEntryOptions {
  readonly context: Pick<ControllerContext, 'now' | 'logger' | 'observed'>
  /** Told of those who have more series than they may, here or on a host; the same ones again and again. */
  readonly tellCulprits: (culprits: readonly Culprit[]) => Promise<void>
  /** Rejects unless it is stored. */
  readonly send: (message: PointMessage) => Promise<void>
  /** Undefined: only requests are taken. */
  readonly settings: ControllerCollectdSettings | undefined
}

/** Points of many requests and packets go in one message. */
const flushMilliseconds = 1000
const lookMilliseconds = 15_000
const seriesMaximumDefault = 5000
const storedMilliseconds = 5000

/** By the connection of the account in which hosts speak. */
export const sendToStream =
  (connection: NatsConnection): CollectdEntryOptions['send'] =>
  async ({ id, subject, payload }) => {
    const stream = jetstream(connection, { checkAPI: false })
    await stream.publish(subject, payload, { msgID: id, timeout: storedMilliseconds, retries: 0 })
  }

/** Throws where the file is not as it should be; undefined without one. */
export function readCollectdFile(path: string | undefined): ControllerCollectdSettings | undefined {
  if (path === undefined) return undefined
  const parsed = v.safeParse(controllerCollectdSchema, JSON.parse(readFileSync(path, 'utf8')))
  if (parsed.success) return parsed.output
  throw new Error(`${path} is not as it should be: ${v.summarize(parsed.issues)}`)
}

export async function openCollectdEntry(options: CollectdEntryOptions): Promise<CollectdEntry> {
  const { context, settings } = options
  const { logger } = context
  const log = (fields: Record<string, unknown>, message: string) => logger.warn(fields, message)
  const idPrefix = `controller.${crypto.randomUUID().slice(0, 8)}`
  const sender = createPointSender({ idPrefix, send: options.send, now: () => performance.now(), log })
  const gathered = createGatherer(sender)
  const admission = createAdmission({
    types: knownTypes(readTypesFiles(settings?.typesDb ?? [])),
    seriesMaximum: settings?.seriesMaximum ?? seriesMaximumDefault,
    unixSeconds: () => context.now() / 1000,
  })
  const intake = createUserIntake(settings, admission, gathered.add)
  const sockets = await Promise.all(
    (settings?.listen ?? []).map(({ address, port }) =>
      Bun.udpSocket({ hostname: address, port, socket: { data: (_, packet) => intake.takePacket(packet) } }),
    ),
  )
  const lookForCulprits = async () => {
    const own = culpritsOfExplosions(admission.takeExplosions())
    const found = [...own, ...culpritsOfReports(context.observed, context.now())]
    await options
      .tellCulprits(found)
      .catch((error: unknown) => log({ err: error }, 'too many series; it could not be told'))
  }
  const timer = setInterval(() => {
    gathered.flush()
  }, flushMilliseconds)
  const looking = setInterval(() => void lookForCulprits(), lookMilliseconds)

  return {
    take(projectId, lists) {
      const origin: PointOrigin = { kind: 'project', projectId }
      const points = admission.admit(lists, { key: pointSubject(origin), maySpeakFor: () => true })
      gathered.add(origin, points)
      return points.length
    },
    async close() {
      clearInterval(timer)
      clearInterval(looking)
      for (const socket of sockets) socket.close()
      gathered.flush()
      await sender.flush()
    },
  }
}

function readTypesFiles(files: readonly string[]): readonly string[] {
  const own = existsSync(typesDbFile) ? [typesDbFile] : []
  return [...own, ...files].map((path) => readFileSync(path, 'utf8'))
}

interface Gatherer {
  add(origin: PointOrigin, points: readonly Point[]): void
  flush(): void
}

/** By their origin, which is that of a message. */
function createGatherer(sender: PointSender): Gatherer {
  const gathered = new Map<string, { readonly origin: PointOrigin; readonly points: Point[] }>()
  return {
    add(origin, points) {
      if (points.length === 0) return
      const key = JSON.stringify(origin)
      const before = gathered.get(key) ?? { origin, points: [] }
      gathered.set(key, before)
      for (const point of points) before.points.push(point)
      if (before.points.length < batchPointsMaximum) return
      // A whole message at once: to pack many at a time would keep packets waiting for longer than a socket holds them.
      gathered.delete(key)
      sender.add(origin, before.points)
    },
    flush() {
      for (const { origin, points } of gathered.values()) sender.add(origin, points)
      gathered.clear()
      void sender.flush()
    },
  }
}

/** Each user speaks for a host, or for whatever hosts a project names. */
function createUserIntake(
  settings: ControllerCollectdSettings | undefined,
  admission: Admission,
  onPoints: Gatherer['add'],
): Pick<Intake, 'takePacket'> {
  const users = settings?.users ?? {}
  const intakes = new Map(
    Object.entries(users).map(([name, user]) => {
      const origin: PointOrigin =
        'host' in user ? { kind: 'host', host: user.host } : { kind: 'project', projectId: user.projectId }
      const maySpeakFor = (host: string) => origin.kind !== 'host' || host === origin.host
      return [name, { key: pointSubject(origin), origin, maySpeakFor }]
    }),
  )
  let speaking: PointOrigin = { kind: 'controller' }
  return createIntake({
    admission,
    passwordOf: (name) => (Object.hasOwn(users, name) ? users[name]?.password : undefined),
    least: settings?.protection ?? 'signed',
    senderOf(name) {
      const sender = name === undefined ? undefined : intakes.get(name)
      if (sender !== undefined) speaking = sender.origin
      return sender
    },
    onPoints: (points) => onPoints(speaking, points),
  })
}
