/** Where hosts' statements are published: a key a host in the bucket `desired`. Touches that bucket alone. */

import { JetStreamApiError } from '@nats-io/jetstream'
import type { KV } from '@nats-io/kv'
import * as v from 'valibot'
import { type HostInstructions, hostInstructionsSchema } from '../../agent/contract/host-instructions.ts'
import { instructionsKey } from '../../agent/contract/subjects.ts'

export interface PublishedInstructions {
  readonly statement: HostInstructions
  readonly revision: number
}

/** What publishing needs of the bus; simulations bring their own. */
export interface InstructionsBus {
  /** The hosts that have a statement. */
  listHosts(): Promise<readonly string[]>
  read(host: string): Promise<PublishedInstructions | null>
  /** Writes it in the place of that revision (null: where there is none). Null: another stood there. */
  write(statement: HostInstructions, revision: number | null): Promise<number | null>
}

/** JetStream's word for a conditional write that came too late. */
const wrongLastSequence = 10071

export function createInstructionsBus(bucket: KV): InstructionsBus {
  return {
    async listHosts() {
      const hosts: string[] = []
      const [before = '', after = ''] = instructionsKey('*').split('*')
      for await (const key of await bucket.keys(instructionsKey('*'))) {
        hosts.push(key.slice(before.length, key.length - after.length))
      }
      return hosts
    },

    async read(host) {
      const entry = await bucket.get(instructionsKey(host))
      if (entry === null || entry.operation !== 'PUT') return null
      return { statement: parseStatement(host, entry.string()), revision: entry.revision }
    },

    async write(statement, revision) {
      const key = instructionsKey(statement.host)
      try {
        const text = JSON.stringify(statement)
        return revision === null ? await bucket.create(key, text) : await bucket.update(key, text, revision)
      } catch (error) {
        if (error instanceof JetStreamApiError && error.code === wrongLastSequence) return null
        throw error
      }
    },
  }
}

/** What can't be read counts as empty, with the generation that it names if it names one: the next one is above it. */
function parseStatement(host: string, text: string): HostInstructions {
  const empty = { format: 1, host, issuedAt: '', networks: [], machines: [], instances: [] } as const
  try {
    const value: unknown = JSON.parse(text)
    const parsed = v.safeParse(hostInstructionsSchema, value)
    if (parsed.success) return parsed.output
    const named = v.safeParse(v.object({ generation: v.pipe(v.number(), v.integer()) }), value)
    return {
      ...empty,
      generation: named.success ? named.output.generation : 0,
      networks: [],
      machines: [],
      instances: [],
    }
  } catch {
    return { ...empty, generation: 0, networks: [], machines: [], instances: [] }
  }
}
