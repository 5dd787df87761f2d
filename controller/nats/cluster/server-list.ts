/** Which servers a cluster has just now, as they say themselves. Asks as a user of the system account, and changes nothing. */

import type { NatsConnection } from '@nats-io/transport-node'
import * as v from 'valibot'

export interface ListedServer {
  /** `node-1`, by its tag; its server's name where it has none. */
  readonly node: string
  readonly serverName: string
  readonly version: string
  /** Where clients reach it, as it was told. */
  readonly address: string
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
})
const nodeTag = 'node:'
const pingSubject = '$SYS.REQ.SERVER.PING'

/** A server of a cluster is called by its bus and its node, as `sluice-abcdefghijkl-node-1`; one that is alone by its bus. */
export const nodeOfServer = (serverName: string): string =>
  /^sluice-[a-z0-9]{12}-(.+)$/.exec(serverName)?.[1] ?? serverName

/** Waits until that many have answered, and no longer than that. */
export async function listServers(
  system: NatsConnection,
  wanted: { readonly servers: number; readonly milliseconds: number },
): Promise<readonly ListedServer[]> {
  const found: ListedServer[] = []
  const answers = await system.requestMany(pingSubject, '', {
    strategy: 'count',
    maxMessages: wanted.servers,
    maxWait: wanted.milliseconds,
  })
  for await (const answer of answers) {
    const parsed = v.safeParse(answerSchema, answer.json())
    if (!parsed.success) continue
    const { name, host, ver, tags, jetstream } = parsed.output.server
    const node = tags.find((tag) => tag.startsWith(nodeTag))?.slice(nodeTag.length) ?? name
    found.push({ node, serverName: name, version: ver, address: host, isJetStreamOn: jetstream })
  }
  return found.sort((a, b) => (a.node < b.node ? -1 : 1))
}
