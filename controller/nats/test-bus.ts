/** A bus of its own for one test: a real nats-server on a free loopback port, and the users that it may have. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createUser, type KeyPair } from '@nats-io/nkeys'
import {
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  jwtAuthenticator,
  type NatsConnection,
} from '@nats-io/transport-node'
import pino from 'pino'
import { inboxPrefix } from '../../agent/contract/subjects.ts'
import { findFreePort } from '../control-plane/test-nats-server.ts'
import { type Bus, type BusCredentials, type BusSettings, openBus } from './bus.ts'

export const silentLogger = pino({ level: 'silent' })

export interface TestBus {
  readonly bus: Bus
  readonly stateFolder: string
  readonly settings: BusSettings
  /** Closes the bus and opens it again on the same folder and port. */
  reopen(): Promise<Bus>
  close(): Promise<void>
}

/** Its `bus` is always the one that was opened last. */
export async function openTestBus(overrides: Partial<BusSettings> = {}): Promise<TestBus> {
  const stateFolder = await mkdtemp(join(tmpdir(), 'sluice-bus-'))
  const listen = `127.0.0.1:${await findFreePort()}`
  const settings: BusSettings = { stateFolder, listen, logger: silentLogger, ...overrides }
  let bus = await openBus(settings)
  return {
    get bus() {
      return bus
    },
    stateFolder,
    settings,
    async reopen() {
      await bus.close()
      bus = await openBus(settings)
      return bus
    },
    async close() {
      await bus.close()
      await rm(stateFolder, { recursive: true, force: true })
    },
  }
}

export interface TestAgent {
  readonly connection: NatsConnection
  readonly publicKey: string
  readonly user: KeyPair
  readonly token: string
}

export async function connectAgent(
  bus: Bus,
  host: string,
  options: Partial<ConnectionOptions> = {},
): Promise<TestAgent> {
  const user = createUser()
  const publicKey = user.getPublicKey()
  const token = await bus.issueAgentJwt({ host, publicKey })
  const connection = await connect({
    ...patientOptions(bus),
    inboxPrefix: inboxPrefix(host),
    authenticator: jwtAuthenticator(token, user.getSeed()),
    ...options,
  })
  return { connection, publicKey, user, token }
}

export async function connectReader(bus: Bus, credentials: BusCredentials): Promise<NatsConnection> {
  return await connect({
    ...patientOptions(bus),
    inboxPrefix: credentials.inboxPrefix,
    authenticator: credsAuthenticator(new TextEncoder().encode(credentials.credentials)),
  })
}

export function patientOptions(bus: Bus): ConnectionOptions {
  return {
    servers: [...bus.natsServers],
    tls: { ca: bus.caCertificate },
    maxReconnectAttempts: -1,
    reconnectTimeWait: 50,
    reconnectJitter: 10,
    reconnectJitterTLS: 10,
  }
}

/** Waits for a condition; rejects with what was awaited when it does not come. */
export async function waitFor(what: string, condition: () => boolean | Promise<boolean>, seconds = 10): Promise<void> {
  const deadline = performance.now() + 1000 * seconds
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${seconds} s in vain: ${what}`)
    await Bun.sleep(10)
  }
}
