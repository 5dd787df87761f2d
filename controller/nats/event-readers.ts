/**
 * Credentials by which a program outside reads one project's events, and nothing else: a user of the account `readers`
 * and a durable consumer of the event stream that bears the user's public key.
 */

import { AckPolicy, DeliverPolicy, JetStreamApiError, jetstreamManager } from '@nats-io/jetstream'
import { fmtCreds } from '@nats-io/jwt'
import { createUser } from '@nats-io/nkeys'
import { type NatsConnection, nanos } from '@nats-io/transport-node'
import { ensureEventStream, eventStream, eventSubjects } from '../control-plane/event-stream.ts'
import { encodeReaderToken, readersDomain } from './accounts.ts'
import type { BusIdentity } from './identity.ts'

export interface EventReader {
  readonly tokenId: string
  readonly projectId: string
  /** RFC 3339; null: until the token is deleted. */
  readonly expiresAt: string | null
}

export interface EventCredentials {
  /** The text of a `.creds` file. */
  readonly credentials: string
  /** `U…`: what `revokeUser` takes. */
  readonly publicKey: string
  readonly stream: string
  readonly consumer: string
  /** What the consumer gives: all events of the project. */
  readonly subject: string
  /** The only prefix under which the reader may receive answers; every client library has an option for it. */
  readonly inboxPrefix: string
  /** The JetStream domain to name to the client library: `jetstream(connection, { domain })`. */
  readonly domain: string
}

const acknowledgementMilliseconds = 30_000
const unacknowledgedMaximum = 1_000

/** The reader sees what happens from now on; what happened while it was away waits for it, as long as events are kept. */
export async function issueEventCredentials(
  connection: NatsConnection,
  identity: BusIdentity,
  reader: EventReader & { readonly replicas: number },
): Promise<EventCredentials> {
  const user = createUser()
  const publicKey = user.getPublicKey()
  const subject = eventSubjects(reader.projectId)
  await ensureEventStream(connection, reader.replicas)
  const manager = await jetstreamManager(connection, { checkAPI: false })
  await manager.consumers.add(eventStream, {
    durable_name: publicKey,
    description: reader.tokenId,
    filter_subject: subject,
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(acknowledgementMilliseconds),
    max_ack_pending: unacknowledgedMaximum,
    deliver_policy: DeliverPolicy.New,
  })
  const token = await encodeReaderToken(identity, {
    tokenId: reader.tokenId,
    publicKey,
    expiresAtSeconds: reader.expiresAt === null ? null : Math.floor(Date.parse(reader.expiresAt) / 1000),
  })
  return {
    credentials: new TextDecoder().decode(fmtCreds(token, user)),
    publicKey,
    stream: eventStream,
    consumer: publicKey,
    subject,
    inboxPrefix: `_INBOX.${publicKey}`,
    domain: readersDomain,
  }
}

/** Removes the consumer of a reader that has been revoked; an agent has none. */
export async function removeReaderConsumer(connection: NatsConnection, publicKey: string): Promise<void> {
  const manager = await jetstreamManager(connection, { checkAPI: false })
  try {
    await manager.consumers.delete(eventStream, publicKey)
  } catch (cause) {
    if (!(cause instanceof JetStreamApiError && cause.status === 404)) throw cause
  }
}
