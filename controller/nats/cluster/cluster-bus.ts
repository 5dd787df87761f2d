/**
 * The bus of a controller that shares a cluster of NATS servers with others: its connections to them, and the credentials
 * of all who may use it. It starts no server; its keys are in `<state folder>/nats`, the same for all controllers.
 */

import { join } from 'node:path'
import { jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import { refuseOldServerVersion } from '../../control-plane/server-version.ts'
import { updateAccounts } from '../account-update.ts'
import { encodeAccountTokens } from '../accounts.ts'
import { parseAddress, serverUrl } from '../bus-address.ts'
import { fingerprintOf } from '../certificates.ts'
import { type BusAddress, connectController } from '../connections.ts'
import { type Bus, connectBoth, createBus } from '../create-bus.ts'
import { readFileOrNull } from '../durable-file.ts'
import { type BusIdentity, openIdentity } from '../identity.ts'
import { openRevocations } from '../revocations.ts'
import { describeServers } from './describe-servers.ts'
import { patiently } from './patience.ts'
import { openRevocationBucket, type RevocationBucket } from './revocation-bucket.ts'
import { listServers } from './server-list.ts'

export interface ClusterBusSettings {
  /** The controller's: `nats/` in it holds the cluster's keys. */
  readonly stateFolder: string
  /** All servers of the cluster, e.g. `198.18.0.241:4222`. */
  readonly servers: readonly string[]
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  /** How long it is waited for the servers, and for more than half of them to agree. */
  readonly waitSeconds?: number
}

/** With fewer servers than these, each thing is kept by one of them. */
const replicasInCluster = 3
const waitSecondsDefault = 60
const againMilliseconds = 250
const listMilliseconds = 3_000

export async function openClusterBus(settings: ClusterBusSettings): Promise<Bus> {
  const { logger } = settings
  const now = settings.now ?? Date.now
  const folder = join(settings.stateFolder, 'nats')
  const { identity, caCertificate } = await readKeys(folder)
  const servers = settings.servers.map((text) => serverUrl(parseAddress(text, 'the address of a NATS server')))
  const address: BusAddress = { servers, caCertificate }
  const replicas = servers.length >= replicasInCluster ? replicasInCluster : 1
  const deadline = performance.now() + 1000 * (settings.waitSeconds ?? waitSecondsDefault)
  const connections = await connectInTime(address, identity, deadline)
  try {
    await waitForQuorum(connections.connection, servers, deadline)
    const versions = await refuseOldServers(address, identity)
    const revocations = await patiently(() => openRevocationBucket(connections.connection, replicas))
    // Of the time when this bus was run by one controller alone.
    const former = (await openRevocations(folder)).current()
    await patiently(() => revocations.add(former))
    const tellAccounts = () => tellUntilStable(address, identity, revocations)
    await tellAccounts()
    logger.info({ servers, versions, replicas }, 'connected to the NATS cluster')
    return await createBus({
      ...connections,
      address,
      identity,
      natsServers: servers,
      caFingerprint: fingerprintOf(caCertificate),
      replicas,
      async revoke(publicKey) {
        await revocations.add({ [publicKey]: Math.floor(now() / 1000) })
        await tellAccounts()
      },
      status: () => ({ pid: null, isAdopted: false, restarts: 0, version: connections.connection.info?.version ?? '' }),
      stopRenewal: async () => {},
      close: async () => {},
    })
  } catch (cause) {
    await Promise.all([connections.connection.close(), connections.hostsConnection.close()])
    throw cause
  }
}

async function readKeys(folder: string): Promise<{ readonly identity: BusIdentity; readonly caCertificate: string }> {
  const caCertificate = await readFileOrNull(join(folder, 'ca.pem'))
  if (caCertificate === null || (await readFileOrNull(join(folder, 'identity.json'))) === null) {
    throw new Error(
      `${folder} holds no keys of a cluster: \`bun controller/cluster/main.ts\` makes them once, and each ` +
        'controller is given a copy of that folder',
    )
  }
  return { identity: await openIdentity(folder), caCertificate }
}

/** Servers may start together with their controllers, so those that don't answer yet are tried again. */
async function connectInTime(address: BusAddress, identity: BusIdentity, deadline: number) {
  for (;;) {
    try {
      return await connectBoth(address, identity)
    } catch (cause) {
      if (performance.now() < deadline) {
        await Bun.sleep(againMilliseconds)
        continue
      }
      throw new Error(await describeServers(address, identity), { cause })
    }
  }
}

/** JetStream answers when more than half of its servers have found each other. */
async function waitForQuorum(connection: NatsConnection, servers: readonly string[], deadline: number): Promise<void> {
  const manager = await jetstreamManager(connection, { checkAPI: false })
  for (;;) {
    try {
      await manager.getAccountInfo()
      return
    } catch (cause) {
      if (performance.now() < deadline) {
        await Bun.sleep(againMilliseconds)
        continue
      }
      throw new Error(
        `a NATS server answers, but JetStream does not: more than half of the ${servers.length} servers ` +
          `(${servers.join(', ')}) must run and reach each other on their cluster addresses; their logs say which does not`,
        { cause },
      )
    }
  }
}

async function refuseOldServers(address: BusAddress, identity: BusIdentity): Promise<readonly string[]> {
  const system = await connectController(address, identity, 'system')
  try {
    const found = await listServers(system, listMilliseconds)
    for (const { version } of found) refuseOldServerVersion(version)
    return found.map(({ node, version }) => `${node} ${version}`)
  } finally {
    await system.close()
  }
}

/** Whoever revokes at the same time may tell the servers less than this one knows: told again until nothing is new. */
async function tellUntilStable(
  address: BusAddress,
  identity: BusIdentity,
  revocations: RevocationBucket,
): Promise<void> {
  let users = await revocations.read()
  for (;;) {
    await updateAccounts(address, identity, await encodeAccountTokens(identity, users))
    const known = await revocations.read()
    if (Bun.deepEquals(known, users)) return
    users = known
  }
}
