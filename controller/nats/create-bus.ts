/** The bus as the rest of the controller sees it, whoever runs its servers: embedded or a cluster. */

import type { NatsConnection } from '@nats-io/transport-node'
import { watchConnection } from '../control-plane/connection-watch.ts'
import { encodeAgentToken } from './accounts.ts'
import { type Buckets, ensureBuckets } from './buckets.ts'
import { measureServers, type ServerSample } from './cluster/measure-servers.ts'
import { patiently } from './cluster/patience.ts'
import { type ListedServer, listServers } from './cluster/server-list.ts'
import { type BusAddress, connectController } from './connections.ts'
import {
  type EventCredentials,
  type EventReader,
  issueEventCredentials,
  removeReaderConsumer,
} from './event-readers.ts'
import { type BusIdentity, deriveSecret } from './identity.ts'
import type { NatsServerStatus } from './nats-server.ts'

export interface Bus {
  /** For the store and the events. */
  readonly connection: NatsConnection
  /** For what controller and agents tell each other: a wall keeps agents from the store. */
  readonly hostsConnection: NatsConnection
  /** `desired`: what each host must have, by `instructionsKey`; `status`: what each reports, by `reportKey`. */
  readonly buckets: Buckets
  /** What agents and readers connect to, e.g. `tls://198.18.0.254:4222`. */
  readonly natsServers: readonly string[]
  /** PEM: the only authority that they trust. */
  readonly caCertificate: string
  /** Hex SHA-256 of it: the last part of a join token. */
  readonly caFingerprint: string
  /** For a purpose that is none of the bus's: the same in all controllers, and kept nowhere else. */
  deriveSecret(purpose: string): Uint8Array
  /** Signs an agent in for good, until it is revoked. Touches nothing, so that asking twice is as good as once. */
  issueAgentJwt(agent: { readonly host: string; readonly publicKey: string }): Promise<string>
  issueEventCredentials(reader: EventReader): Promise<BusCredentials>
  /** How many servers keep each thing. */
  readonly replicas: number
  /** The servers that answer just now. */
  listServers(): Promise<readonly ListedServer[]>
  /** What each of them says of its processor, memory, traffic and disk. */
  measureServers(): Promise<readonly ServerSample[]>
  /** Throws a user out and keeps it out, agent or reader. Resolves when the server has done so; asking twice is fine. */
  revokeUser(publicKey: string): Promise<void>
  status(): BusStatus
  /** Ends the connections, then the server. */
  close(): Promise<void>
}

export interface BusCredentials extends EventCredentials {
  readonly servers: readonly string[]
  readonly caCertificate: string
}

export interface BusStatus extends NatsServerStatus {
  readonly version: string
  /** Both connections are up. What is sent while one is not may be lost without a word. */
  readonly isConnected: boolean
}

export interface BusConnections {
  readonly connection: NatsConnection
  readonly hostsConnection: NatsConnection
}

export interface BusParts extends BusConnections {
  readonly address: BusAddress
  readonly identity: BusIdentity
  readonly natsServers: readonly string[]
  readonly caFingerprint: string
  readonly replicas: number
  /** Resolves when the servers let this user in no more. */
  revoke(publicKey: string): Promise<void>
  status(): NatsServerStatus & { readonly version: string }
  /** Called before the connections end. */
  stopRenewal(): Promise<void>
  /** Called after the connections have ended. */
  close(): Promise<void>
}

const listMilliseconds = 1_500

export async function connectBoth(address: BusAddress, identity: BusIdentity): Promise<BusConnections> {
  const [connection, hostsConnection] = await Promise.all([
    connectController(address, identity, 'control'),
    connectController(address, identity, 'hosts'),
  ])
  return { connection, hostsConnection }
}

/** Makes what is missing on the servers; ends the connections where that fails. */
export async function createBus(parts: BusParts): Promise<Bus> {
  const { connection, hostsConnection, identity, natsServers, address, caFingerprint, replicas } = parts
  const { caCertificate } = address
  const watches = [connection, hostsConnection].map(watchConnection)
  let system: Promise<NatsConnection> | null = null
  const closeConnections = async () => {
    await Promise.all([connection.close(), hostsConnection.close()])
    await (await system?.catch(() => undefined))?.close()
  }
  const both = { control: connection, hosts: hostsConnection }
  const buckets = await patiently(() => ensureBuckets(both, replicas)).catch(async (cause: unknown) => {
    await parts.stopRenewal()
    await closeConnections()
    throw cause
  })
  const connectSystem = (): Promise<NatsConnection> => {
    system ??= connectController(address, identity, 'system').catch((cause: unknown) => {
      system = null
      throw cause
    })
    return system
  }

  return {
    connection,
    hostsConnection,
    buckets,
    natsServers,
    caCertificate,
    caFingerprint,
    replicas,
    deriveSecret: (purpose) => deriveSecret(identity, purpose),
    issueAgentJwt: (agent) => encodeAgentToken(identity, agent),
    async issueEventCredentials(reader) {
      const issued = await issueEventCredentials(connection, identity, { ...reader, replicas })
      return { ...issued, servers: natsServers, caCertificate }
    },
    async revokeUser(publicKey) {
      await parts.revoke(publicKey)
      await removeReaderConsumer(connection, publicKey)
    },
    async listServers() {
      return await listServers(await connectSystem(), listMilliseconds)
    },
    async measureServers() {
      const system = await connectSystem()
      const servers = await listServers(system, listMilliseconds)
      return await measureServers(system, { servers: servers.length, milliseconds: listMilliseconds })
    },
    status: () => ({ ...parts.status(), isConnected: watches.every((watch) => watch.isConnected()) }),
    async close() {
      await parts.stopRenewal()
      await closeConnections()
      await parts.close()
    },
  }
}
