/**
 * On which NATS servers a microshard's stream lies: it makes streams where they are to be, and has a node lead them. It
 * touches the streams `ms_*` and nothing else.
 *
 * A stream of one copy lies on its node. One of several is begun on its node and then spread, so that its node is among
 * them however many servers there are; the servers choose the others.
 */

import {
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamInfo,
} from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { nodeOfServer, nodeTag } from './directory/nodes.ts'
import { type MicroshardPlace, microshardSubjects, streamName } from './message.ts'
import { versionsKeptMaximum } from './store.ts'

export interface StreamPlacement {
  readonly replicas: number
  /** The node that is to hold it, or to lead it where several do; null: wherever the servers put it. */
  readonly node: string | null
}

const answerMilliseconds = 5_000
const pollMilliseconds = 50
/** All servers have it by then, as long as nothing is written. */
const spreadMilliseconds = 60_000
const leadMilliseconds = 10_000

/** Makes the stream of a microshard, or brings the one that is there to as many replicas as are asked for. */
export async function ensureMicroshardStream(
  connection: NatsConnection,
  place: MicroshardPlace,
  { replicas, node }: StreamPlacement,
): Promise<void> {
  const manager = await jetstreamManager(connection, { checkAPI: false })
  const name = streamName(place.id)
  // A single server has no cluster to place anything in.
  const isPlaced = node !== null && connection.info?.cluster !== undefined
  const known = await findStream(manager, name)
  if (known === null) {
    await manager.streams.add({
      name,
      subjects: [microshardSubjects(place)],
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.Old,
      max_msgs_per_subject: versionsKeptMaximum,
      num_replicas: isPlaced ? 1 : replicas,
      allow_direct: true,
      allow_atomic: true,
      ...(isPlaced ? { placement: { tags: [nodeTag(node)], cluster: '' } } : {}),
    })
  }
  const config = known?.config ?? (await manager.streams.info(name)).config
  if (config.num_replicas === replicas) return
  // Without the tag, as the other copies lie elsewhere; the client's own update would keep it.
  const { placement: _, ...rest } = config
  await ask(connection, `$JS.API.STREAM.UPDATE.${name}`, { ...rest, num_replicas: replicas })
  await poll(`all copies of ${name}`, spreadMilliseconds, async () => {
    const copies = (await manager.streams.info(name)).cluster?.replicas ?? []
    return copies.length === replicas - 1 && copies.every(({ current }) => current)
  })
}

/** Makes an entry's node lead its stream. Whoever leads, it is written and read all the same. */
export async function leadMicroshardStream(
  connection: NatsConnection,
  { id, node }: { readonly id: string; readonly node: string | null },
): Promise<void> {
  if (node === null) throw new Error(`BUG: microshard ${id} has no node that could lead it`)
  const manager = await jetstreamManager(connection, { checkAPI: false })
  const name = streamName(id)
  await poll(`${node} to lead ${name}`, leadMilliseconds, async () => {
    const leader = (await manager.streams.info(name)).cluster?.leader ?? ''
    if (nodeOfServer(leader) === node) return true
    if (leader !== '') await stepDown(connection, name, node)
    return false
  })
}

const stepDown = (connection: NatsConnection, stream: string, node: string): Promise<void> =>
  ask(connection, `$JS.API.STREAM.LEADER.STEPDOWN.${stream}`, { placement: { tags: [nodeTag(node)] } })

async function ask(connection: NatsConnection, subject: string, question: object): Promise<void> {
  const answer = await connection.request(subject, JSON.stringify(question), { timeout: answerMilliseconds })
  const { error } = answer.json<{ readonly error?: { readonly description?: string } }>()
  if (error !== undefined) throw new Error(`the server refuses ${subject}: ${error.description}`)
}

async function findStream(manager: JetStreamManager, name: string): Promise<StreamInfo | null> {
  return await manager.streams.info(name).catch((cause: unknown) => {
    if (cause instanceof JetStreamApiError && cause.status === 404) return null
    throw cause
  })
}

async function poll(what: string, milliseconds: number, isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + milliseconds
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`${what} did not come about within ${milliseconds} ms`)
    await Bun.sleep(pollMilliseconds)
  }
}
