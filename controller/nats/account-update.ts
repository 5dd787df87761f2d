/** Tells the running nats-server how its accounts are now. Touches the bus as a user of the system account. */

import * as v from 'valibot'
import type { AccountToken } from './accounts.ts'
import { type BusAddress, connectController } from './connections.ts'
import type { BusIdentity } from './identity.ts'

const updateSubject = '$SYS.REQ.CLAIMS.UPDATE'
const answerMilliseconds = 10_000
const answerSchema = v.object({
  data: v.optional(v.object({ code: v.number() })),
  error: v.optional(v.object({ description: v.optional(v.string()) })),
})

/** Resolves when the server has taken all of them in: whoever is revoked by then has been thrown out. */
export async function updateAccounts(
  address: BusAddress,
  identity: BusIdentity,
  tokens: readonly AccountToken[],
): Promise<void> {
  const connection = await connectController(address, identity, 'system')
  try {
    for (const { publicKey, token } of tokens) {
      const answer = await connection.request(updateSubject, token, { timeout: answerMilliseconds })
      const { data, error } = v.parse(answerSchema, answer.json())
      if (data?.code === 200) continue
      throw new Error(`nats-server refused the token of account ${publicKey}: ${error?.description ?? answer.string()}`)
    }
  } finally {
    await connection.close()
  }
}
