/**
 * The bus: nats-server kept running, the controller's connections to it, and the credentials of all who may use it.
 * `openBus` is the one way in; what it needs to keep is in `<state folder>/nats`, and nobody else touches that.
 */

import { mkdir } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { sleep } from '../control-plane/connection-watch.ts'
import { updateAccounts } from './account-update.ts'
import { encodeAccountTokens, encodeOperatorToken } from './accounts.ts'
import { chooseAdvertised, listCertificateNames, localAddress, parseAddress, serverUrl } from './bus-address.ts'
import { takeFolder } from './bus-owner.ts'
import { openCertificates } from './certificates.ts'
import { openClusterBus } from './cluster/cluster-bus.ts'
import type { BusAddress } from './connections.ts'
import { type Bus, connectBoth, createBus } from './create-bus.ts'
import { openIdentity } from './identity.ts'
import { type NatsServer, startNatsServer } from './nats-server.ts'
import { openRevocations } from './revocations.ts'

export type { Bus, BusCredentials, BusStatus } from './create-bus.ts'

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
  /** Of a cluster: no server is started here, and `listen` plays no part. */
  readonly servers?: readonly string[]
  /** How often it is looked whether the server's certificate comes to its end; a day when left out. */
  readonly renewalCheckMilliseconds?: number
}

const renewalCheckMillisecondsDefault = 24 * 3600 * 1000

/** @example const bus = await openBus({ stateFolder: '/var/lib/sluice', listen: '198.18.0.254:4222', logger }) */
export async function openBus(settings: BusSettings): Promise<Bus> {
  if (settings.servers !== undefined) return await openClusterBus({ ...settings, servers: settings.servers })
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
  const connections = await connectBoth(address, identity)
  const stopRenewal = keepCertificate(settings, ground, server)
  return await createBus({
    ...connections,
    address,
    identity,
    natsServers,
    caFingerprint,
    replicas: 1,
    async revoke(publicKey) {
      await revocations.add(publicKey, Math.floor(ground.now() / 1000))
      await tellAccounts()
    },
    status: () => ({ ...server.status(), version: server.version }),
    stopRenewal,
    close: () => server.close(),
  })
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
