/** All streams of microshards as the servers have them: how large they are, and on how many servers. */

import { JetStreamApiError, type JetStreamManager, jetstreamManager, type StreamInfo } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { streamName } from '../message.ts'
import type { MicroshardEntry } from '../microshard-directory.ts'

export interface MicroshardSize {
  readonly messages: number
  readonly bytes: number
  /** Those that have a copy. */
  readonly servers: readonly string[]
}

/** By stream. They come in pages, so that a thousand are few questions. */
export async function listMicroshardStreams(connection: NatsConnection): Promise<ReadonlyMap<string, StreamInfo>> {
  const manager = await jetstreamManager(connection, { checkAPI: false })
  const streams = new Map<string, StreamInfo>()
  for await (const info of manager.streams.list('ms.>')) streams.set(info.config.name, info)
  return streams
}

export async function measureMicroshards(connection: NatsConnection): Promise<ReadonlyMap<string, MicroshardSize>> {
  const streams = await listMicroshardStreams(connection)
  return new Map(
    [...streams].map(([name, info]) => {
      const { messages, bytes } = info.state
      return [name, { messages, bytes, servers: listServers(info) }]
    }),
  )
}

/** The servers that have a copy of a stream. One that is alone does not say so. */
export function listServers({ cluster }: StreamInfo): readonly string[] {
  const leader = cluster?.leader ?? ''
  return [...(leader === '' ? [] : [leader]), ...(cluster?.replicas ?? []).map(({ name }) => name)]
}

/** Brings the streams that are there to as many replicas as are asked for; tells which entries have none. */
export async function checkMicroshardStreams(
  connection: NatsConnection,
  entries: readonly MicroshardEntry[],
  replicas: number,
): Promise<readonly string[]> {
  const manager = await jetstreamManager(connection, { checkAPI: false })
  const streams = await listMicroshardStreams(connection)
  for (const { id } of entries) {
    const config = streams.get(streamName(id))?.config
    if (config === undefined || config.num_replicas === replicas) continue
    await manager.streams.update(config.name, { ...config, num_replicas: replicas })
  }
  const missing: string[] = []
  for (const { id } of entries) {
    // A list leaves out what has no leader just now, so each is asked for by its name.
    if (!streams.has(streamName(id)) && !(await isThere(manager, streamName(id)))) missing.push(id)
  }
  return missing
}

async function isThere(manager: JetStreamManager, stream: string): Promise<boolean> {
  try {
    await manager.streams.info(stream)
    return true
  } catch (cause) {
    if (cause instanceof JetStreamApiError && cause.status === 404) return false
    throw cause
  }
}
