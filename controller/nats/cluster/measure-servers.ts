/**
 * What each server of a cluster says of its processor, memory, traffic and disk: what `/varz` shows, asked as a user of the
 * system account, so that no server needs a port for it. Changes nothing.
 */

import type { NatsConnection } from '@nats-io/transport-node'
import * as v from 'valibot'
import { nodeOfServer } from '../../control-plane/directory/nodes.ts'

/** Of one server at one moment; traffic as counters since it was started. */
export interface ServerSample {
  readonly node: string
  /** Of the server's own clock. */
  readonly atMilliseconds: number
  readonly cpuPercent: number
  readonly memoryBytes: number
  readonly receivedBytes: number
  readonly sentBytes: number
  /** What JetStream keeps, and may keep; 0: without a limit. */
  readonly diskBytes: number
  readonly diskBytesMaximum: number
}

const count = v.pipe(v.number(), v.minValue(0))
const answerSchema = v.object({
  server: v.object({ name: v.string(), tags: v.optional(v.array(v.string()), []) }),
  data: v.object({
    now: v.string(),
    cpu: count,
    mem: count,
    in_bytes: count,
    out_bytes: count,
    jetstream: v.optional(
      v.object({
        config: v.optional(v.object({ max_storage: v.optional(v.number(), 0) })),
        stats: v.optional(v.object({ storage: v.optional(count, 0) })),
      }),
    ),
  }),
})
const nodeTag = 'node:'
const varzSubject = '$SYS.REQ.SERVER.PING.VARZ'

/** Waits until that many have answered, and no longer than that. */
export async function measureServers(
  system: NatsConnection,
  wanted: { readonly servers: number; readonly milliseconds: number },
): Promise<readonly ServerSample[]> {
  const answers = await system.requestMany(varzSubject, '', {
    strategy: 'count',
    maxMessages: wanted.servers,
    maxWait: wanted.milliseconds,
  })
  const samples: ServerSample[] = []
  for await (const answer of answers) {
    const parsed = v.safeParse(answerSchema, answer.json())
    if (!parsed.success) continue
    const { server, data } = parsed.output
    const tag = server.tags.find((one) => one.startsWith(nodeTag))
    samples.push({
      node: tag?.slice(nodeTag.length) ?? nodeOfServer(server.name),
      atMilliseconds: Date.parse(data.now),
      cpuPercent: data.cpu,
      memoryBytes: data.mem,
      receivedBytes: data.in_bytes,
      sentBytes: data.out_bytes,
      diskBytes: data.jetstream?.stats?.storage ?? 0,
      diskBytesMaximum: Math.max(0, data.jetstream?.config?.max_storage ?? 0),
    })
  }
  return samples
}
