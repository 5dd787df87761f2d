/**
 * The bus: nats-server kept running, the controller's connections to it, and the credentials of all who may use it.
 * `openBus` is the one way in; what it needs to keep is in `<state folder>/nats`, and nobody else touches that.
 */

import { mkdir } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import type { NatsConnection } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import { sleep, watchConnection } from '../control-plane/connection-watch.ts'
import { updateAccounts } from './account-update.ts'
import { encodeAccountTokens, encodeAgentToken, encodeOperatorToken } from './accounts.ts'
import { type Buckets, ensureBuckets } from './buckets.ts'
import { chooseAdvertised, listCertificateNames, localAddress, parseAddress, serverUrl } from './bus-address.ts'
import { takeFolder } from './bus-owner.ts'
import { openCertificates } from './certificates.ts'
import { type BusAddress, connectController } from './connections.ts'
import {
  type EventCredentials,
  type EventReader,
  issueEventCredentials,
  removeReaderConsumer,
} from './event-readers.ts'
import { openIdentity } from './identity.ts'
import { type NatsServer, type NatsServerStatus, startNatsServer } from './nats-server.ts'
import { openRevocations } from './revocations.ts'

export interface BusSettings {
  /** The controller's: the bus keeps `nats/` in it. */
  readonly stateFolder: string
  /** The one address that nats-server listens on, e.g. `198.18.0.254:4222`. */
  readonly listen: string
  /**
   * How hosts and programs reach it, e.g. `['bus.example.net:4222']`: the address that it listens on, when left out. It
   * must be given where that is `0.0.0.0`.
   */
  readonly advertise?: readonly string[]
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  /** Another build of nats-server. */
  readonly program?: string
  /** How often it is looked whether the server's certificate comes to its end; a day when left out. */
  readonly renewalCheckMilliseconds?: number
}

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
  /** Signs an agent in for good, until it is revoked. Touches nothing, so that asking twice is as good as once. */
  issueAgentJwt(agent: { readonly host: string; readonly publicKey: string }): Promise<string>
  issueEventCredentials(reader: EventReader): Promise<BusCredentials>
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

const renewalCheckMillisecondsDefault = 24 * 3600 * 1000

/** @example const bus = await openBus({ stateFolder: '/var/lib/sluice', listen: '198.18.0.254:4222', logger }) */
export async function openBus(settings: BusSettings): Promise<Bus> {
  const ground = await layGround(settings)
  const { folder, identity, accountTokens, certificates, listen } = ground
  const server = await startNatsServer({
    folder,
    listen: settings.listen,
    local: localAddress(listen),
    operatorToken: await encodeOperatorToken(identity),
    systemAccount: identity.accounts.system.getPublicKey(),
    accountTokens,
    certificateFile: certificates.serverCertificateFile,
    keyFile: certificates.serverKeyFile,
    logger: settings.logger,
    ...(settings.program === undefined ? {} : { program: settings.program }),
  })
  try {
    return await connectBus(settings, ground, server)
  } catch (cause) {
    await server.close()
    throw cause
  }
}

type Ground = Awaited<ReturnType<typeof layGround>>

/** All that is kept in the bus's folder, made where it is missing. */
async function layGround(settings: BusSettings) {
  const folder = join(settings.stateFolder, 'nats')
  const now = settings.now ?? Date.now
  const listen = parseAddress(settings.listen, "nats-server's address to listen on")
  const advertised = chooseAdvertised(listen, settings.advertise ?? [])
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await takeFolder(folder)
  const identity = await openIdentity(folder)
  const revocations = await openRevocations(folder)
  const names = listCertificateNames(listen, advertised, listOwnAddresses())
  const ensureCertificates = () => openCertificates({ folder, names, now: now() })
  return {
    folder,
    now,
    listen,
    identity,
    revocations,
    accountTokens: () => encodeAccountTokens(identity, revocations.current()),
    ensureCertificates,
    certificates: await ensureCertificates(),
    natsServers: advertised.map(serverUrl),
  }
}

async function connectBus(settings: BusSettings, ground: Ground, server: NatsServer): Promise<Bus> {
  const { identity, revocations, accountTokens, natsServers } = ground
  const { caCertificate, caFingerprint } = ground.certificates
  const address: BusAddress = { servers: [serverUrl(localAddress(ground.listen))], caCertificate }
  const tellAccounts = async () => updateAccounts(address, identity, await accountTokens())
  // One that was started by this very call has read in its configuration what its accounts are.
  if (server.status().isAdopted) await tellAccounts()
  const connect = (account: 'control' | 'hosts') => connectController(address, identity, account)
  const [connection, hostsConnection] = await Promise.all([connect('control'), connect('hosts')])
  const watches = [connection, hostsConnection].map(watchConnection)
  const closeConnections = () => Promise.all([connection.close(), hostsConnection.close()])
  const buckets = await ensureBuckets({ control: connection, hosts: hostsConnection }).catch(async (cause: unknown) => {
    await closeConnections()
    throw cause
  })
  const stopRenewal = keepCertificate(settings, ground, server)

  return {
    connection,
    hostsConnection,
    buckets,
    natsServers,
    caCertificate,
    caFingerprint,
    issueAgentJwt: (agent) => encodeAgentToken(identity, agent),
    async issueEventCredentials(reader) {
      const issued = await issueEventCredentials(connection, identity, reader)
      return { ...issued, servers: natsServers, caCertificate }
    },
    async revokeUser(publicKey) {
      await revocations.add(publicKey, Math.floor(ground.now() / 1000))
      await tellAccounts()
      await removeReaderConsumer(connection, publicKey)
    },
    status: () => ({
      ...server.status(),
      version: server.version,
      isConnected: watches.every((watch) => watch.isConnected()),
    }),
    async close() {
      await stopRenewal()
      await closeConnections()
      await server.close()
    },
  }
}

/** Renews the server's certificate in time, until the returned function is called. */
function keepCertificate(settings: BusSettings, ground: Ground, server: NatsServer): () => Promise<void> {
  const stopping = new AbortController()
  const periodMilliseconds = settings.renewalCheckMilliseconds ?? renewalCheckMillisecondsDefault
  const keeping = (async () => {
    while (!stopping.signal.aborted) {
      await sleep(periodMilliseconds, stopping.signal)
      try {
        const { isRenewed } = await ground.ensureCertificates()
        if (isRenewed) await server.reload()
      } catch (error) {
        settings.logger.error({ err: error }, "nats-server's certificate can't be renewed; it is tried again")
      }
    }
  })()
  return async () => {
    stopping.abort()
    await keeping
  }
}

function listOwnAddresses(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  return addresses.filter(({ family }) => family === 'IPv4').map(({ address }) => address)
}
