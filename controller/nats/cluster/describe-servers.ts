/** Says of each server of a cluster why it can't be used: asks each of them once, and changes nothing. */

import { type BusAddress, connectController } from '../connections.ts'
import type { BusIdentity } from '../identity.ts'

/** A sentence for each, as an error's message. */
export async function describeServers(address: BusAddress, identity: BusIdentity): Promise<string> {
  const lines = await Promise.all(
    address.servers.map(
      async (server) => `${server}: ${await describeServer({ ...address, servers: [server] }, identity)}`,
    ),
  )
  return `the controller can't connect to the NATS cluster:\n${lines.join('\n')}`
}

async function describeServer(address: BusAddress, identity: BusIdentity): Promise<string> {
  try {
    const connection = await connectController(address, identity, 'control')
    await connection.close()
    return 'answers now'
  } catch (cause) {
    return nameReason(cause)
  }
}

/** What the client's errors mean, in the words of who has to put it right. */
function nameReason(cause: unknown): string {
  const text = collectMessages(cause).join(': ')
  if (/certificate|self.signed|issuer|SSL|TLS/i.test(text)) {
    return `its certificate is not one of this bus's authority (${text}): is it a server of this cluster, and has it its own papers?`
  }
  if (/authorization|authentication/i.test(text)) {
    return `it refuses this controller's keys (${text}): controllers and nodes must come from one \`controller/cluster/main.ts\``
  }
  if (/refused/i.test(text)) return `nothing listens there (${text}): is the node running?`
  return `it does not answer (${text})`
}

function collectMessages(cause: unknown): string[] {
  if (!(cause instanceof Error)) return [String(cause)]
  return [cause.message, ...(cause.cause === undefined ? [] : collectMessages(cause.cause))]
}
