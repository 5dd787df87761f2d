/**
 * Keeps microshards where the directory and the nodes that there are say: it begins the moves that a node that has joined
 * or is drained makes necessary, has each node lead what is its own, and takes the copies of all streams off a drained
 * node where there are others to have them. It begins operations, which are driven elsewhere, and asks the servers.
 *
 * One turn at a time, by timer; what could not be done is the next turn's.
 */

import { jetstreamManager, type StreamInfo } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import { sleep } from '../connection-watch.ts'
import { listServers } from '../directory/microshard-streams.ts'
import { nodeOfServer, type StoreNodes } from '../directory/nodes.ts'
import type { WatchedDirectory } from '../directory/watched-directory.ts'
import { streamName } from '../message.ts'
import { findOperationOf, type MicroshardDirectory, type MicroshardEntry } from '../microshard-directory.ts'
import { leadMicroshardStream } from '../stream-placement.ts'
import { planPlacement } from './plan-placement.ts'

export interface PlacementOptions {
  readonly directory: Pick<WatchedDirectory, 'refresh' | 'change'>
  readonly nodes: StoreNodes
  /** The microshards' first; then others whose streams lie on the same servers. */
  readonly connections: readonly [NatsConnection, ...NatsConnection[]]
  readonly replicas: number
  readonly move: (microshardId: string, node: string) => Promise<unknown>
  readonly logger: Pick<Logger, 'warn'>
  /** In milliseconds, of a clock that never goes back. */
  readonly now: () => number
  /** How long a node must have answered before anything is put on it. */
  readonly settleMilliseconds?: number
  readonly turnMilliseconds?: number
}

const settleMillisecondsDefault = 10_000
const turnMillisecondsDefault = 2_000
/** Each of them is a copy under way, which disks and networks bear beside their work. */
const movesAtOnce = 2
const evacuationsAtOnce = 4
const answerMilliseconds = 5_000

/** Resolves when the signal has aborted and the turn under way is over. */
export async function keepPlacement(options: PlacementOptions, signal: AbortSignal): Promise<void> {
  const [connection] = options.connections
  // A server that is alone has nothing to be placed.
  if (connection.info?.cluster === undefined) return
  const answersSince = new Map<string, number>()
  while (!signal.aborted) {
    try {
      const settled = await listSettled(options, answersSince)
      if (!signal.aborted) await takeTurn(options, settled)
    } catch (cause) {
      if (!signal.aborted) options.logger.warn({ err: cause }, 'microshards are not all where they should be yet')
    }
    await sleep(options.turnMilliseconds ?? turnMillisecondsDefault, signal)
  }
}

async function listSettled(
  { nodes, now, settleMilliseconds = settleMillisecondsDefault }: PlacementOptions,
  answersSince: Map<string, number>,
): Promise<readonly string[]> {
  const alive = new Set((await nodes.list()).filter(({ isAlive }) => isAlive).map(({ name }) => name))
  for (const name of answersSince.keys()) if (!alive.has(name)) answersSince.delete(name)
  for (const name of alive) if (!answersSince.has(name)) answersSince.set(name, now())
  return [...alive].filter((name) => now() - (answersSince.get(name) ?? 0) >= settleMilliseconds)
}

async function takeTurn(options: PlacementOptions, settled: readonly string[]): Promise<void> {
  const { directory, move } = options
  const current = await directory.refresh()
  const { moves, nodes } = planPlacement(current, settled)
  const running = current.operations.filter(({ kind }) => kind === 'migrate').length
  for (const { microshardId, node } of moves.slice(0, Math.max(0, movesAtOnce - running))) {
    await move(microshardId, node)
  }
  if (nodes !== null) await settle(options, settled)
  const streams = await listStreams(options.connections[0])
  await leadOwn(options, current, settled, streams)
  const { drained } = current.placement
  const others = settled.filter((name) => !drained.includes(name))
  const isEmptied = !current.microshards.some(({ node }) => node !== null && drained.includes(node))
  if (drained.length > 0 && isEmptied && others.length >= options.replicas) await evacuate(options, drained)
}

/** Planned anew on the directory as it is by then. */
async function settle({ directory }: PlacementOptions, settled: readonly string[]): Promise<void> {
  await directory.change((current) => {
    const { nodes } = planPlacement(current, settled)
    if (nodes === null) return { kind: 'keep', because: null }
    const placement = { ...current.placement, nodes }
    return { kind: 'change', directory: { ...current, version: current.version + 1, placement } }
  })
}

/** A server that was away has lost what it led to others, and has caught up by now. */
async function leadOwn(
  { connections, logger }: PlacementOptions,
  directory: MicroshardDirectory,
  settled: readonly string[],
  streams: ReadonlyMap<string, StreamInfo>,
): Promise<void> {
  const lost = directory.microshards.filter((entry) => {
    const isFree = findOperationOf(directory, entry.id) === null
    return isFree && entry.node !== null && settled.includes(entry.node) && isFollowing(streams, entry)
  })
  for (const entry of lost) {
    await leadMicroshardStream(connections[0], entry).catch((cause: unknown) =>
      logger.warn({ err: cause, microshard: entry.id }, 'a microshard is led by another node than its own'),
    )
  }
}

function isFollowing(streams: ReadonlyMap<string, StreamInfo>, { id, node }: MicroshardEntry): boolean {
  const copies = streams.get(streamName(id))?.cluster?.replicas ?? []
  return copies.some(({ name, current, offline }) => nodeOfServer(name) === node && current && offline !== true)
}

/** The servers copy what they take over before they let go of the old copy. */
async function evacuate({ connections }: PlacementOptions, drained: readonly string[]): Promise<void> {
  let left = evacuationsAtOnce
  for (const connection of connections) {
    for (const [name, info] of await listStreams(connection)) {
      const peer = listServers(info).find((server) => drained.includes(nodeOfServer(server)))
      if (peer === undefined) continue
      if (left-- === 0) return
      const subject = `$JS.API.STREAM.PEER.EVACUATE.${name}`
      // One that is being moved already is refused, and looked at again by the next turn.
      await connection.request(subject, JSON.stringify({ peer }), { timeout: answerMilliseconds })
    }
  }
}

async function listStreams(connection: NatsConnection): Promise<ReadonlyMap<string, StreamInfo>> {
  const manager = await jetstreamManager(connection, { checkAPI: false })
  const streams = new Map<string, StreamInfo>()
  for await (const info of manager.streams.list()) streams.set(info.config.name, info)
  return streams
}
