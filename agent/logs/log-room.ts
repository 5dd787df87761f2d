/**
 * The room of logs: follows what the instances of a host say, and hands it to the bus a second at a time. It changes nothing
 * on the host, and what it can't follow or send holds nothing up. How far it has got is kept beside the sockets, so that an
 * agent that is started again goes on where the one before it was.
 */

import * as v from 'valibot'
import type { InstanceInstructions } from '../contract/host-instructions.ts'
import { type LogKind, type LogLine, logLinesMaximum, logSubject } from '../contract/log-lines.ts'
import { haproxyFiles } from '../haproxy/haproxy-files.ts'
import { keepalivedFiles } from '../keepalived/keepalived-files.ts'
import type { AskHaproxy } from '../operations/haproxy-socket.ts'
import type { Room } from '../room.ts'
import { type AccessCollector, createAccessCollector } from './collect-access.ts'
import { followRing, type RingFollower } from './follow-ring.ts'
import { createLineLimit, type LineLimit } from './line-limit.ts'
import { createLogBuffer, type PublishLogs } from './log-buffer.ts'
import { parseOwnLine } from './parse-own-line.ts'
import { type FilePosition, readNewLines } from './read-new-lines.ts'

export interface LogRoomOptions {
  readonly host: string
  readonly runFolder: string
  readonly ask: AskHaproxy
  readonly publish: PublishLogs
  /** The text of the last `savePositions`, or undefined. */
  readonly readPositions: () => string | undefined
  readonly savePositions: (text: string) => void
  /** Gives the room of so many bytes at the file's beginning back; they are not needed again. */
  readonly giveBackHead: (path: string, bytes: number) => Promise<void>
  /** Milliseconds by a clock that never jumps. */
  readonly now: () => number
  /** Milliseconds since 1970. */
  readonly clock: () => number
}

export interface LogRoom extends Room {
  /** Another worker of this instance's haproxy may answer now. */
  onWorker(instanceId: string): void
  /** Collects what is new and sends what it can. */
  flush(): Promise<void>
  close(): void
}

/** Of one instance, in the long run and for a moment. A balancer with more samples. */
const accessLinesPerSecond = 100
const accessBurstLines = 500
/** Of one instance's daemon. */
const ownLinesPerSecond = 10
const ownBurstLines = 300
/** Of a daemon's file, settled and kept: a lost agent's successor has no more to read twice. */
const settledBytesMaximum = 1024 * 1024
/** What waits for the bus: some minutes of a busy host. */
const waitingCharactersMaximum = 8 * 1024 * 1024

const countSchema = v.pipe(v.number(), v.integer(), v.minValue(0))
const positionSchema = v.object({
  access: v.optional(v.object({ worker: countSchema, number: countSchema, counts: v.record(v.string(), v.number()) })),
  haproxy: v.optional(v.object({ inode: countSchema, offsetBytes: countSchema })),
  keepalived: v.optional(v.object({ inode: countSchema, offsetBytes: countSchema })),
})
const positionsSchema = v.record(v.string(), positionSchema)
type Position = v.InferOutput<typeof positionSchema>

interface Followed {
  readonly instance: InstanceInstructions
  readonly files: Readonly<Record<'haproxy' | 'keepalived', string>>
  readonly sockets: { readonly statsSocket: string; readonly masterSocket: string }
  readonly access: { readonly collector: AccessCollector; readonly ring: RingFollower } | undefined
  readonly limits: Readonly<Record<'haproxy' | 'keepalived', LineLimit>>
  /** How far it has been read, which is further than what is settled. */
  read: { haproxy: FilePosition | undefined; keepalived: FilePosition | undefined }
  /** Up to where the room of each file was given back. */
  readonly given: { haproxy: number; keepalived: number }
}

export function createLogRoom(options: LogRoomOptions): LogRoom {
  const { host, runFolder, ask, now, clock } = options
  const followed = new Map<string, Followed>()
  const buffer = createLogBuffer({ publish: options.publish, charactersMaximum: waitingCharactersMaximum, clock })
  const settled = parsePositions(options.readPositions())
  let isUnsaved = false

  const startAccess = ({ id }: InstanceInstructions, sockets: Followed['sockets']) => {
    const limit = createLineLimit({ linesPerSecond: accessLinesPerSecond, burstLines: accessBurstLines, now })
    const collector = createAccessCollector({ before: settled.get(id)?.access, limit, now, clock })
    const ring = followRing(sockets, ask, {
      onConnect: collector.connect,
      onLine: collector.take,
      onEnd: collector.end,
    })
    ring.followNewest()
    return { collector, ring }
  }

  const follow = (instance: InstanceInstructions, before: Followed | undefined) => {
    const { statsSocket, masterSocket, log } = haproxyFiles(runFolder, instance.id)
    const position = settled.get(instance.id)
    const sockets = { statsSocket, masterSocket }
    const isLogged = instance.accessLog !== undefined
    if (!isLogged) before?.access?.ring.close()
    const ownLimit = () => createLineLimit({ linesPerSecond: ownLinesPerSecond, burstLines: ownBurstLines, now })
    followed.set(instance.id, {
      files: { haproxy: log, keepalived: keepalivedFiles(runFolder, instance.id).log },
      sockets,
      limits: { haproxy: ownLimit(), keepalived: ownLimit() },
      read: { haproxy: position?.haproxy, keepalived: position?.keepalived },
      given: { haproxy: 0, keepalived: 0 },
      ...before,
      instance,
      access: isLogged ? (before?.access ?? startAccess(instance, sockets)) : undefined,
    })
  }

  const forget = (id: string, { access }: Followed) => {
    access?.ring.close()
    followed.delete(id)
    isUnsaved = settled.delete(id) || isUnsaved
  }

  const hand = (
    instance: InstanceInstructions,
    kind: LogKind,
    lines: readonly LogLine[],
    position: Partial<Position>,
  ) => {
    const { projectId, loadBalancerId, id: instanceId } = instance
    const subject = logSubject({ host, projectId, loadBalancerId, instanceId, kind })
    for (let i = 0; i < lines.length; i += logLinesMaximum) {
      const isLast = i + logLinesMaximum >= lines.length
      buffer.add({
        subject,
        lines: lines.slice(i, i + logLinesMaximum),
        onSettled: () => {
          if (!isLast || !followed.has(instanceId)) return
          settled.set(instanceId, { ...settled.get(instanceId), ...position })
          isUnsaved = true
        },
      })
    }
  }

  const collectOwn = (one: Followed, kind: 'haproxy' | 'keepalived') => {
    const fresh = readNewLines(one.files[kind], one.read[kind])
    if (fresh === undefined) return
    one.read[kind] = fresh.position
    const kept = fresh.lines.filter(() => one.limits[kind].admit())
    const overRate = fresh.lines.length - kept.length
    const lines: LogLine[] = kept.map((line) => parseOwnLine(line, clock()))
    if (overRate > 0) lines.push({ at: clock(), dropped: { lines: overRate, reason: 'rate' } })
    hand(one.instance, kind, lines, { [kind]: fresh.position })
  }

  /** A file that was begun anew is settled less far than was given back of the one before. */
  const giveBack = async ({ instance, files, given }: Followed, kind: 'haproxy' | 'keepalived') => {
    const { offsetBytes = 0 } = settled.get(instance.id)?.[kind] ?? {}
    if (offsetBytes < given[kind]) given[kind] = 0
    if (offsetBytes - given[kind] < settledBytesMaximum) return
    given[kind] = offsetBytes
    await options.giveBackHead(files[kind], offsetBytes)
  }

  return {
    name: 'logs',
    async look({ desired }) {
      const wanted = new Set(desired.instances.map(({ id }) => id))
      for (const [id, one] of [...followed]) if (!wanted.has(id)) forget(id, one)
      for (const instance of desired.instances) {
        const before = followed.get(instance.id)
        if (before?.instance !== instance) follow(instance, before)
      }
      return []
    },
    onWorker(instanceId) {
      followed.get(instanceId)?.access?.ring.followNewest()
    },
    async flush() {
      for (const one of followed.values()) {
        const flushed = one.access?.collector.flush()
        if (flushed !== undefined) {
          hand(
            one.instance,
            'access',
            flushed.lines,
            flushed.position === undefined ? {} : { access: flushed.position },
          )
        }
        collectOwn(one, 'haproxy')
        collectOwn(one, 'keepalived')
      }
      await buffer.drain()
      if (!isUnsaved) return
      isUnsaved = false
      options.savePositions(JSON.stringify(Object.fromEntries(settled)))
      for (const one of followed.values()) {
        await giveBack(one, 'haproxy')
        await giveBack(one, 'keepalived')
      }
    },
    close() {
      for (const { access } of followed.values()) access?.ring.close()
    },
  }
}

/** What can't be read is as good as none: then lines may come twice. */
function parsePositions(text: string | undefined): Map<string, Position> {
  try {
    const parsed = v.safeParse(positionsSchema, JSON.parse(text ?? '{}'))
    return new Map(parsed.success ? Object.entries(parsed.output) : [])
  } catch {
    return new Map()
  }
}
