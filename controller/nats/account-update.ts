/** Tells the running nats-server how its accounts are now. Touches the bus as a user of the system account. */

import type { NatsConnection } from '@nats-io/transport-node'
import * as v from 'valibot'
import type { AccountToken } from './accounts.ts'
import { type BusAddress, connectController } from './connections.ts'
import type { BusIdentity } from './identity.ts'

const updateSubject = '$SYS.REQ.CLAIMS.UPDATE'
const answerMilliseconds = 10_000
/** How long the answer of the next server of a cluster is waited for. */
const stallMilliseconds = 500
const answerSchema = v.object({
  data: v.optional(v.object({ code: v.number() })),
  error: v.optional(v.object({ description: v.optional(v.string()) })),
})

/**
 * Resolves when the servers have taken all of them in: whoever is revoked by then has been thrown out. Of a cluster's
 * servers those that don't answer learn it from the others as soon as they are back.
 */
export async function updateAccounts(
  address: BusAddress,
  identity: BusIdentity,
  tokens: readonly AccountToken[],
): Promise<void> {
  const connection = await connectController(address, identity, 'system')
  try {
    for (const { publicKey, token } of tokens) await updateAccount(connection, publicKey, token, address.servers.length)
  } finally {
    await connection.close()
  }
}

async function updateAccount(
  connection: NatsConnection,
  publicKey: string,
  token: string,
  servers: number,
): Promise<void> {
  const answers = await connection.requestMany(updateSubject, token, {
    strategy: servers === 1 ? 'count' : 'stall',
    maxMessages: servers,
    maxWait: answerMilliseconds,
    stall: stallMilliseconds,
  })
  let taken = 0
  for await (const answer of answers) {
    const { data, error } = v.parse(answerSchema, answer.json())
    if (data?.code !== 200) {
      throw new Error(`nats-server refused the token of account ${publicKey}: ${error?.description ?? answer.string()}`)
    }
    taken += 1
    if (taken === servers) break
  }
  if (taken === 0) throw new Error(`no nats-server took the token of account ${publicKey} in`)
}
