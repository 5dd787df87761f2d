/** What the bus outlives: its server's death, its controller's, and its users' revocation outlives them all. */

import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { connect, jwtAuthenticator, type NatsConnection } from '@nats-io/transport-node'
import { inboxPrefix, instructionsKey, reportKey } from '../../agent/contract/subjects.ts'
import { findFreePort } from '../control-plane/test-nats-server.ts'
import { type Bus, openBus } from './bus.ts'
import {
  connectAgent,
  openTestBus,
  patientOptions,
  silentLogger,
  type TestAgent,
  type TestBus,
  waitFor,
} from './test-bus.ts'

/** Each test starts servers of its own, on a machine that may have much else to do. */
setDefaultTimeout(30_000)

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function open(): Promise<TestBus> {
  const ground = await openTestBus()
  cleanups.push(() => ground.close())
  return ground
}

async function joinHost(bus: Bus, host: string): Promise<TestAgent> {
  const agent = await connectAgent(bus, host)
  cleanups.push(() => agent.connection.close())
  return agent
}

/** As an agent does after its own restart: with what it has on its disk. */
async function connectAgain(bus: Bus, host: string, agent: TestAgent): Promise<NatsConnection> {
  const connection = await connect({
    ...patientOptions(bus),
    inboxPrefix: inboxPrefix(host),
    authenticator: jwtAuthenticator(agent.token, agent.user.getSeed()),
  })
  cleanups.push(() => connection.close())
  return connection
}

function pidOf(bus: Bus): number {
  const { pid } = bus.status()
  if (pid === null) throw new Error('no nats-server runs')
  return pid
}

describe('nats-server killed', () => {
  test('is started again, with what was written, and agents come back by themselves', async () => {
    const { bus } = await open()
    const agent = await joinHost(bus, 'host-a')
    await bus.buckets.desired.put(instructionsKey('host-a'), 'kept')
    const before = pidOf(bus)
    process.kill(before, 'SIGKILL')
    await waitFor('another server', () => bus.status().restarts === 1 && bus.status().pid !== null)
    expect(bus.status().pid).not.toBe(before)
    await waitFor('the controller to be connected', () => bus.status().isConnected)
    expect((await bus.buckets.desired.get(instructionsKey('host-a')))?.string()).toBe('kept')
    await waitFor('a report', async () => {
      agent.connection.publish(`$KV.status.${reportKey('host-a')}`, 'back')
      return (await bus.buckets.status.get(reportKey('host-a')).catch(() => null))?.string() === 'back'
    })
  })
})

describe('a revoked agent', () => {
  test('is thrown out, and stays out after its server and its controller were started anew', async () => {
    const ground = await open()
    const agent = await joinHost(ground.bus, 'host-a')
    const other = await joinHost(ground.bus, 'host-b')
    const thrownOut = agent.connection.closed()
    await ground.bus.revokeUser(agent.publicKey)
    await thrownOut
    const attempt = () => connectAgain(ground.bus, 'host-a', agent)
    await expect(attempt()).rejects.toThrow('Authorization Violation')
    process.kill(pidOf(ground.bus), 'SIGKILL')
    await waitFor('another server', () => ground.bus.status().restarts === 1 && ground.bus.status().pid !== null)
    await expect(attempt()).rejects.toThrow('Authorization Violation')
    await ground.reopen()
    await expect(attempt()).rejects.toThrow('Authorization Violation')
    expect(other.connection.isClosed()).toBe(false)
    await connectAgain(ground.bus, 'host-b', other)
  })

  test('is let in again by a new token for a new key', async () => {
    const { bus } = await open()
    const agent = await joinHost(bus, 'host-a')
    await bus.revokeUser(agent.publicKey)
    await bus.revokeUser(agent.publicKey)
    const again = await joinHost(bus, 'host-a')
    expect(again.connection.isClosed()).toBe(false)
  })
})

describe('a controller killed', () => {
  /** Opens a bus in a process of its own and kills that process, once there was an agent. */
  async function leaveOrphan() {
    const stateFolder = await mkdtemp(join(tmpdir(), 'sluice-bus-'))
    cleanups.push(() => rm(stateFolder, { recursive: true, force: true }))
    const listen = `127.0.0.1:${await findFreePort()}`
    const child = Bun.spawn([process.execPath, join(import.meta.dir, 'test-bus-process.ts'), stateFolder, listen], {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'inherit',
    })
    const { value } = await child.stdout.getReader().read()
    const { pid } = JSON.parse(new TextDecoder().decode(value)) as { pid: number }
    cleanups.push(async () => {
      child.kill('SIGKILL')
      await child.exited
    })
    const settings = { stateFolder, listen, logger: silentLogger }
    const kill = async () => {
      child.kill('SIGKILL')
      await child.exited
    }
    return { settings, pid, kill, controllerPid: child.pid }
  }

  async function openAgain(settings: Parameters<typeof openBus>[0]): Promise<Bus> {
    const bus = await openBus(settings)
    cleanups.push(() => bus.close())
    return bus
  }

  test('leaves its server to the agents, and the next one takes it over as it is', async () => {
    const { settings, pid, kill } = await leaveOrphan()
    await kill()
    const bus = await openAgain(settings)
    expect(bus.status()).toMatchObject({ pid, isAdopted: true, restarts: 0 })
    const agent = await joinHost(bus, 'host-a')
    expect(agent.connection.isClosed()).toBe(false)
  })

  test('a server that was taken over is started again when it dies, and ended with its new controller', async () => {
    const { settings, pid, kill } = await leaveOrphan()
    await kill()
    const bus = await openBus(settings)
    process.kill(pid, 'SIGKILL')
    await waitFor('another server', () => bus.status().restarts === 1 && bus.status().pid !== null)
    const next = pidOf(bus)
    await bus.close()
    expect(() => process.kill(next, 0)).toThrow('ESRCH')
  })

  test('a server that hangs is replaced', async () => {
    const { settings, pid, kill } = await leaveOrphan()
    await kill()
    process.kill(pid, 'SIGSTOP')
    const bus = await openAgain(settings)
    expect(bus.status()).toMatchObject({ isAdopted: false })
    expect(pidOf(bus)).not.toBe(pid)
  })

  test('a server of other settings is replaced', async () => {
    const { settings, pid, kill } = await leaveOrphan()
    await kill()
    const bus = await openAgain({ ...settings, listen: `127.0.0.1:${await findFreePort()}` })
    expect(bus.status()).toMatchObject({ isAdopted: false })
    expect(pidOf(bus)).not.toBe(pid)
  })

  test('a second controller on a living one is refused, and harms nothing', async () => {
    const { settings, pid, kill, controllerPid } = await leaveOrphan()
    await expect(openBus(settings)).rejects.toThrow(`process id ${controllerPid}`)
    expect(process.kill(pid, 0)).toBe(true)
    await kill()
    await openAgain(settings)
  })
})

describe('known agents need no controller', () => {
  test('one comes back to a server whose controller is dead', async () => {
    const ground = await open()
    const agent = await joinHost(ground.bus, 'host-a')
    const { settings, bus } = ground
    const servers = bus.natsServers
    expect(servers).toEqual([`tls://${settings.listen}`])
    // The controller's own connections are gone; what is left is the server.
    await Promise.all([bus.connection.close(), bus.hostsConnection.close()])
    await agent.connection.close()
    const again = await connectAgain(bus, 'host-a', agent)
    expect(await again.rtt()).toBeGreaterThanOrEqual(0)
  })
})

describe('what is refused at the start', () => {
  async function openWith(overrides: Partial<Parameters<typeof openBus>[0]>): Promise<Bus> {
    const stateFolder = await mkdtemp(join(tmpdir(), 'sluice-bus-'))
    cleanups.push(() => rm(stateFolder, { recursive: true, force: true }))
    return openBus({ stateFolder, listen: `127.0.0.1:${await findFreePort()}`, logger: silentLogger, ...overrides })
  }

  test('a nats-server that is too old', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-old-nats-'))
    cleanups.push(() => rm(folder, { recursive: true, force: true }))
    const program = join(folder, 'nats-server')
    await writeFile(program, '#!/bin/sh\necho "nats-server: v2.9.10"\n')
    await chmod(program, 0o755)
    await expect(openWith({ program })).rejects.toThrow('nats-server 2.9.10 is too old')
    await expect(openWith({ program })).rejects.toThrow('2.12.3 or newer')
  })

  test('a machine without nats-server', async () => {
    await expect(openWith({ program: '/nonexistent/nats-server' })).rejects.toThrow('scripts/setup')
  })

  test('a port that is taken, in the words of nats-server', async () => {
    const taken = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })
    const listen = `127.0.0.1:${taken.port}`
    await expect(openWith({ listen })).rejects.toThrow('address already in use')
    taken.stop(true)
  })

  test.each([
    ['nonsense', 'it must be one host and port'],
    ['127.0.0.1', 'it must be one host and port'],
    ['127.0.0.1:0', 'it must be one host and port'],
    ['127.0.0.1:65536', 'it must be one host and port'],
    ['0.0.0.0:4222', 'say as well by which address hosts reach it'],
  ])('the address %s', async (listen, words) => {
    await expect(openWith({ listen })).rejects.toThrow(words)
  })
})

test('what is secret is readable by its owner alone', async () => {
  const { stateFolder, bus } = await open()
  await bus.revokeUser((await joinHost(bus, 'host-a')).publicKey)
  const secrets = ['identity.json', 'ca.key', 'server.key', 'revocations.json', 'nats-server.conf']
  for (const name of secrets) expect((await stat(join(stateFolder, 'nats', name))).mode & 0o777, name).toBe(0o600)
  expect((await stat(join(stateFolder, 'nats'))).mode & 0o777).toBe(0o700)
})

test("the server takes its renewed certificate without a restart, and nobody's connection breaks", async () => {
  // The first certificate has twenty-five days left, and by the clock of the start a whole year.
  let now = Date.now() - 340 * 24 * 3600 * 1000
  const renewalCheckMilliseconds = 20
  const ground = await openTestBus({ now: () => now, renewalCheckMilliseconds })
  cleanups.push(() => ground.close())
  const agent = await joinHost(ground.bus, 'host-a')
  const before = await readServedSerial(ground.bus)
  const pid = pidOf(ground.bus)
  now = Date.now()
  await waitFor('the new certificate', async () => (await readServedSerial(ground.bus)) !== before)
  expect(pidOf(ground.bus)).toBe(pid)
  expect(agent.connection.isClosed()).toBe(false)
  const newcomer = await joinHost(ground.bus, 'host-b')
  expect(newcomer.connection.isClosed()).toBe(false)
})

/** The serial number of the certificate that a newcomer is shown. */
async function readServedSerial(bus: Bus): Promise<string> {
  const connected = Promise.withResolvers<string>()
  const [address = ''] = bus.natsServers
  const { hostname, port } = new URL(address.replace('tls:', 'https:'))
  const socket = connectTcp({ host: hostname, port: Number(port) })
  // NATS speaks first in the clear: its greeting comes before the handshake.
  socket.once('data', () => {
    const secured = connectTls({ socket, ca: bus.caCertificate }, () => {
      connected.resolve(secured.getPeerCertificate().serialNumber)
      secured.destroy()
    })
    secured.once('error', connected.reject)
  })
  socket.once('error', connected.reject)
  return await connected.promise
}
