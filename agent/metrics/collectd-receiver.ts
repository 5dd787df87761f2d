/**
 * The agent's ear for a collectd of its own host: UDP for the network plugin, HTTP on loopback for `write_http`, and the way
 * back, the points of each pass as lines for the exec plugin. It takes points of its own host's name only. It listens, and
 * writes nothing.
 */

import { existsSync, readFileSync } from 'node:fs'
import * as v from 'valibot'
import { createAdmission, type Sender } from '../contract/collectd/admit-points.ts'
import { createIntake, type Intake } from '../contract/collectd/intake.ts'
import { renderPutval } from '../contract/collectd/putval.ts'
import { type AgentCollectdSettings, agentCollectdSchema, type ListenAddress } from '../contract/collectd/settings.ts'
import { type KnownTypes, knownTypes, typesDbFile } from '../contract/collectd/types-db.ts'
import { bodyBytesMaximum, parseWriteHttp } from '../contract/collectd/write-http.ts'
import { ownPlugins } from '../contract/point-names.ts'
import type { Point } from '../contract/points.ts'
import { makeMeasure } from './make-measure.ts'
import type { Measure } from './measured-instance.ts'

export interface CollectdReceiver {
  readonly intake: Intake
  /** Points of a pass, for whoever reads along. */
  tell(points: readonly Point[]): void
  stop(): Promise<void>
}

export interface CollectdReceiverOptions {
  readonly host: string
  readonly settings: AgentCollectdSettings
  readonly onPoints: (points: readonly Point[]) => void
  readonly log: (fields: Record<string, unknown>, message: string) => void
}

export const collectdFile = (folder: string) => `${folder}/collectd.json`
export const httpPaths = { collectd: '/v1/collectd', points: '/v1/points' } as const

/** What `collectd-exec` asks: it can't read the settings, which hold passwords, since exec's user is never root. */
export const defaultPointsUrl = `http://127.0.0.1:25827${httpPaths.points}`

/** Longer than from one pass to the next, so that whoever reads along is not cut off. */
const idleSeconds = 60
/** Who reads along and is so far behind is cut off. */
const unreadBytesMaximum = 16 * 1024 * 1024

/** Undefined: there is no such file. Throws where it is not as it should be. */
export function readCollectdSettings(folder: string): AgentCollectdSettings | undefined {
  const path = collectdFile(folder)
  if (!existsSync(path)) return undefined
  const parsed = v.safeParse(agentCollectdSchema, JSON.parse(readFileSync(path, 'utf8')))
  if (parsed.success) return parsed.output
  throw new Error(`${path} is not as it should be: ${v.summarize(parsed.issues)}`)
}

/** What others than we may send, from collectd's own file and those that are named. */
export function readTypes(files: readonly string[]): KnownTypes {
  const own = existsSync(typesDbFile) ? [typesDbFile] : []
  return knownTypes([...own, ...files].map((path) => readFileSync(path, 'utf8')))
}

export async function startCollectdReceiver(options: CollectdReceiverOptions): Promise<CollectdReceiver> {
  const { host, settings, log } = options
  const types = readTypes(settings.typesDb)
  const sender: Sender = { key: host, maySpeakFor: (name) => name === host }
  const intake = createIntake({
    admission: createAdmission({
      types,
      seriesMaximum: settings.seriesMaximum,
      unixSeconds: () => Date.now() / 1000,
    }),
    passwordOf: (user) => (Object.hasOwn(settings.users, user) ? settings.users[user] : undefined),
    least: settings.protection,
    senderOf: () => sender,
    onPoints: options.onPoints,
  })
  const readers = createReaders(types)
  const closers: (() => unknown)[] = []
  const stop = async () => {
    for (const close of closers.splice(0)) await close()
  }
  try {
    for (const { address, port } of settings.listen) {
      const data = (_: unknown, packet: Buffer) => intake.takePacket(packet)
      const socket = await Bun.udpSocket({ hostname: address, port, socket: { data } })
      closers.push(() => socket.close())
    }
    if (settings.httpListen !== undefined) {
      const server = serveHttp(settings.httpListen, (request) => answer(request, intake, sender, readers))
      closers.push(() => server.stop(true))
    }
  } catch (error) {
    // Half of it would keep the next attempt from its own ports.
    await stop()
    throw error
  }
  log(
    { listen: settings.listen, httpListen: settings.httpListen, protection: settings.protection },
    'collectd may send',
  )
  return { intake, tell: readers.tell, stop }
}

const serveHttp = ({ address, port }: ListenAddress, fetch: (request: Request) => Promise<Response>) =>
  Bun.serve({ hostname: address, port, idleTimeout: idleSeconds, maxRequestBodySize: bodyBytesMaximum, fetch })

async function answer(request: Request, intake: Intake, sender: Sender, readers: Readers): Promise<Response> {
  const { pathname } = new URL(request.url)
  if (pathname === httpPaths.points && request.method === 'GET') return readers.open()
  if (pathname !== httpPaths.collectd) return problem(404, `there is nothing at ${pathname}`)
  if (request.method !== 'POST') return problem(405, `${httpPaths.collectd} takes what write_http posts`)
  // A page in a browser on this host can't send this type without being asked first whether it may.
  if (!request.headers.get('content-type')?.startsWith('application/json')) {
    return problem(415, 'the body must be application/json')
  }
  const reading = parseWriteHttp(await request.text())
  if (reading.kind === 'refused') {
    intake.drop('malformed')
    return problem(400, reading.message)
  }
  const taken = intake.takeLists(reading.lists, sender)
  return Response.json({ taken, refused: reading.lists.length - taken })
}

const problem = (status: number, detail: string) =>
  Response.json(
    { title: 'refused', status, detail },
    { status, headers: { 'content-type': 'application/problem+json' } },
  )

interface Readers {
  open(): Response
  tell(points: readonly Point[]): void
}

interface Reader {
  /** False: it is too far behind. */
  push(lines: Uint8Array): boolean
  end(): void
}

function createReaders(types: KnownTypes): Readers {
  const readers = new Set<Reader>()
  const open = () => {
    let own: Reader | undefined
    const stream = new ReadableStream<Uint8Array>(
      {
        start(controller) {
          own = {
            push(lines) {
              if ((controller.desiredSize ?? 0) <= 0) return false
              controller.enqueue(lines)
              return true
            },
            end: () => controller.close(),
          }
          readers.add(own)
        },
        cancel() {
          if (own !== undefined) readers.delete(own)
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: unreadBytesMaximum }),
    )
    return new Response(stream, { headers: { 'content-type': 'text/plain; charset=utf-8' } })
  }
  return {
    open,
    tell(points) {
      if (readers.size === 0) return
      const lines = points.flatMap((point) => renderPutval(point, types.get(point.type) ?? []) ?? [])
      const bytes = new TextEncoder().encode(lines.map((line) => `${line}\n`).join(''))
      for (const reader of [...readers]) {
        if (reader.push(bytes)) continue
        readers.delete(reader)
        reader.end()
      }
    },
  }
}

/** What came from a collectd and what was refused, as points. */
export function measureIntake(intake: Intake): Measure[] {
  const { packets, bytes, points, drops } = intake.counts()
  const plugin = ownPlugins.agent
  return [
    makeMeasure({ plugin }, 'collectd_packets', { packets, bytes, points }),
    ...Object.entries(drops).map(([typeInstance, count]) =>
      makeMeasure({ plugin, typeInstance }, 'collectd_drops', { points: count }),
    ),
  ]
}
