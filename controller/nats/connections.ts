/** The controller's own connections to the bus: as a user made for the occasion, trusting the bus's authority alone. */

import { createUser } from '@nats-io/nkeys'
import { type ConnectionOptions, connect, jwtAuthenticator, type NatsConnection } from '@nats-io/transport-node'
import { encodeControllerToken } from './accounts.ts'
import type { BusIdentity } from './identity.ts'

export interface BusAddress {
  readonly servers: readonly string[]
  readonly caCertificate: string
}

const pingMilliseconds = 2_000
const pingsUnansweredMaximum = 2
const reconnectMilliseconds = 100
const connectMilliseconds = 10_000
/** Of several servers one may be frozen: it takes connections and says nothing, while the next one would answer. */
const connectNextMilliseconds = 3_000
const forever = -1

/** A connection that is tried again for ever, and noticed within seconds when it is dead. */
export async function connectController(
  address: BusAddress,
  identity: BusIdentity,
  account: 'system' | 'control' | 'hosts',
): Promise<NatsConnection> {
  const user = createUser()
  const token = await encodeControllerToken(identity, account, user.getPublicKey())
  return await connect({
    ...connectionOptions(address),
    name: `controller, ${account}`,
    authenticator: jwtAuthenticator(token, user.getSeed()),
  })
}

function connectionOptions(address: BusAddress): ConnectionOptions {
  return {
    servers: [...address.servers],
    tls: { ca: address.caCertificate },
    timeout: address.servers.length > 1 ? connectNextMilliseconds : connectMilliseconds,
    pingInterval: pingMilliseconds,
    maxPingOut: pingsUnansweredMaximum,
    maxReconnectAttempts: forever,
    reconnectTimeWait: reconnectMilliseconds,
    reconnectJitter: reconnectMilliseconds,
    reconnectJitterTLS: reconnectMilliseconds,
    // A server that has just begun may refuse for a moment whom it lets in a moment later.
    ignoreAuthErrorAbort: true,
    ignoreClusterUpdates: true,
  }
}
