/** Which servers a cluster has just now, as they say themselves. Asks as a user of the system account, and changes nothing. */

import type { NatsConnection } from '@nats-io/transport-node'
import * as v from 'valibot'

export interface ListedServer {
  /** `node-1`, by its tag; its server's name where it has none. */
  readonly node: string
  readonly serverName: string
  readonly version: string
  /** Where clients reach it, `10.0.0.11:4222`, by its tag; its host alone where it has none. */
  readonly address: string
  /** By its tag; null where it has none. */
  readonly location: string | null
  readonly isJetStreamOn: boolean
}

const answerSchema = v.object({
  server: v.object({
    name: v.string(),
    host: v.string(),
    ver: v.string(),
    tags: v.optional(v.array(v.string()), []),
    jetstream: v.optional(v.boolean(), false),
  }),
  statsz: v.optional(v.object({ active_servers: v.optional(v.number(), 1) }), {}),
})
const nodeTag = 'node:'
const addressTag = 'address:'
const locationTag = 'location:'
const pingSubject = '$SYS.REQ.SERVER.PING'

/** Waits until as many have answered as they say that there are, one that has come later too, and no longer than that. */
export async function listServers(system: NatsConnection, milliseconds: number): Promise<readonly ListedServer[]> {
  const found: ListedServer[] = []
  const answers = await system.requestMany(pingSubject, '', { strategy: 'timer', maxWait: milliseconds })
  let servers = 1
  for await (const answer of answers) {
    const parsed = v.safeParse(answerSchema, answer.json())
    if (!parsed.success) continue
    const { name, host, ver, tags, jetstream } = parsed.output.server
    const tagged = (prefix: string) => tags.find((tag) => tag.startsWith(prefix))?.slice(prefix.length)
    found.push({
      node: tagged(nodeTag) ?? name,
      serverName: name,
      version: ver,
      address: tagged(addressTag) ?? host,
      location: tagged(locationTag) ?? null,
      isJetStreamOn: jetstream,
    })
    servers = Math.max(servers, parsed.output.statsz.active_servers ?? 1)
    if (found.length >= servers) break
  }
  return found.sort((a, b) => (a.node < b.node ? -1 : 1))
}
