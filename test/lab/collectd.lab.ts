/**
 * A real collectd on a host, both ways: its points by packets (plain, signed, encrypted) and by write_http come into the
 * stream of points, the agent's come into its files by the exec plugin, and what is forged, sent twice, of a stranger or of
 * another host is refused and counted. Runs in a sandbox:
 *   scripts/sandbox bun test ./test/lab/collectd.lab.ts
 */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { jetstream } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import type { HostReport } from '../../agent/contract/host-report.ts'
import { decodePoints, type Point, pointStream, pointSubject } from '../../agent/contract/points.ts'
import { reportKey, statusBucket } from '../../agent/contract/subjects.ts'
import { type Cleanup, createCleanup } from '../../bench/system/cleanup.ts'
import { connectController } from '../../controller/nats/connections.ts'
import { openIdentity } from '../../controller/nats/identity.ts'
import { agentBinary } from '../../lab/agent-process.ts'
import {
  bringLabUp,
  controllerAddress,
  controllerFolder,
  killHostAgent,
  labSettings,
  natsPort,
  openLab,
  silentProgress,
  takeLabDown,
} from '../../lab/lab.ts'
import { waitUntil } from '../../lab/wait.ts'
import { type CollectdPlace, renderCollectdConfig } from '../../templates/collectd.ts'
import { createOutside, type Outside } from './lab-client.ts'
import { requireSandbox } from './machine-snapshot.ts'

setDefaultTimeout(120_000)

const waitSeconds = 60
const port = 25_826
const recorderPort = 25_999
const user = { user: 'me', password: 'a "secret"' }
const settings = labSettings({ name: 'collectd', hosts: 1 })
const collectdSettings = {
  listen: [`127.0.0.1:${port}`],
  httpListen: '127.0.0.1:25827',
  users: { [user.user]: user.password },
}

const cleanup: Cleanup = createCleanup((text) => process.stderr.write(`${text}\n`))
let outside: Outside
let host: string
let pid: number
let points: Point[]
let report: HostReport | undefined
let packet: Buffer
let takenFiles: string

beforeAll(async () => {
  requireSandbox()
  cleanup.defer('the lab', () => takeLabDown(settings))
  await bringLabUp(settings, silentProgress)
  outside = createOutside(settings)
  const [first] = openLab(settings).state.hosts
  if (first?.process == null) throw new Error('BUG: a lab without a host')
  host = first.name
  pid = first.process.pid
  const bus = await connectBus()
  points = await follow(bus)
  await write('/etc/sluice-agent/collectd.json', JSON.stringify(collectdSettings))
  await killHostAgent(openLab(settings), host, { forGood: false })
  await until('the agent listens', async () => (await on('ss', '-Hlun', 'sport', '=', `:${port}`)) !== '')
  await startCollectd('plain', { sources: ['load'], network: { ...network, protection: 'none' } })
  await startCollectd('signed', { sources: ['memory'], network: { ...network, protection: 'signed' } })
  await startCollectd('encrypted', { sources: ['cpu'], network: { ...network, protection: 'encrypted' } })
  await startCollectd('http', { sources: ['uptime'], writeUrl: 'http://127.0.0.1:25827/v1/collectd' })
  await startCollectd('stranger', { sources: ['users'], network: { ...network, user: 'else', protection: 'signed' } })
  const foreign = { host: 'another-host', sources: ['users'], network: { ...network, protection: 'signed' } } as const
  await startCollectd('foreign', foreign)
  takenFiles = await startTaking()
  packet = await recordPacket()
})
afterAll(() => cleanup.run())

async function on(...command: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await outside.on(host, ...command)
  if (exitCode !== 0) throw new Error(`${command.join(' ')} ended with ${exitCode}: ${stdout}${stderr}`)
  return stdout
}

const write = (path: string, text: string) => on('sh', '-c', 'umask 022; printf %s "$2" >"$1"', 'write', path, text)

const until = (what: string, isSo: () => boolean | Promise<boolean>) =>
  waitUntil(async () => await isSo(), {
    what: () => `${what}; refused so far: ${JSON.stringify(report?.points?.refused)}`,
    timeoutSeconds: waitSeconds,
    intervalMilliseconds: 100,
  })

async function connectBus(): Promise<NatsConnection> {
  const folder = `${controllerFolder(settings)}/nats`
  const address = {
    servers: [`tls://${controllerAddress}:${natsPort}`],
    caCertificate: readFileSync(`${folder}/ca.pem`, 'utf8'),
  }
  const connection = await connectController(address, await openIdentity(folder), 'hosts')
  cleanup.defer('a connection', () => connection.close())
  connection.subscribe(`$KV.${statusBucket}.${reportKey(host)}`, {
    callback: (_, message) => {
      report = message.json<HostReport>()
    },
  })
  return connection
}

/** All that the stream has of the host, as it comes. */
async function follow(connection: NatsConnection): Promise<Point[]> {
  const found: Point[] = []
  const consumer = await jetstream(connection).consumers.get(pointStream, {
    filter_subjects: [pointSubject({ kind: 'host', host })],
  })
  await consumer.consume({
    callback: ({ subject, data }) => {
      found.push(...(decodePoints(subject, data)?.points ?? []))
    },
  })
  return found
}

/** A collectd of its own for each case; all of them end with the host. */
async function startCollectd(name: string, place: Partial<CollectdPlace>, more = ''): Promise<void> {
  const file = `/etc/collectd-${name}.conf`
  const whole = { host, intervalSeconds: 1, typesFiles: ['/usr/share/collectd/types.db'], sources: [], ...place }
  await write(file, `${renderCollectdConfig(whole)}${more}`)
  await on('collectd', '-C', file, '-P', `/run/collectd-${name}.pid`)
}

const network = { address: '127.0.0.1', port, ...user }
const refused = (reason: string) => report?.points?.refused[reason] ?? 0
const pointsOf = (plugin: string) => points.filter((point) => point.plugin === plugin)

function spawnWithin(...argv: readonly string[]) {
  const program = [process.execPath, `${import.meta.dir}/collectd-packets.ts`, ...argv]
  const child = Bun.spawn(['nsenter', '-t', String(pid), '-n', '--', ...program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  cleanup.defer('a helper', async () => child.kill('SIGKILL'))
  return child
}

async function send(...packets: readonly Buffer[]): Promise<void> {
  const child = spawnWithin('send', String(port), ...packets.map((packet) => packet.toString('base64')))
  expect(await child.exited).toBe(0)
}

/** One that a collectd has signed and nobody but the recorder has got. */
async function recordPacket(): Promise<Buffer> {
  const recorder = spawnWithin('record', String(recorderPort))
  await until('the recorder listens', async () => (await on('ss', '-Hlun', 'sport', '=', `:${recorderPort}`)) !== '')
  const elsewhere = { ...network, port: recorderPort, protection: 'signed' } as const
  await startCollectd('recorded', { sources: ['entropy'], network: elsewhere })
  return Buffer.from(await new Response(recorder.stdout).text(), 'base64')
}

/** One that takes the agent's points and writes them into files; gives the beginning of those with the host's load. */
async function startTaking(): Promise<string> {
  const folder = '/var/lib/collectd-exec'
  // Nobody but root may look into the folder that the build is in; exec's user is never root.
  await on('install', '-D', '-m', '755', agentBinary, `${folder}/sluice-agent`)
  await write(`${folder}/types.db`, await on(agentBinary, 'collectd-types'))
  const exec = { user: 'nobody', argv: [`${folder}/sluice-agent`, 'collectd-exec'], writers: ['csv'] }
  const csv = `LoadPlugin csv\n<Plugin csv>\n  DataDir "${folder}/csv"\n</Plugin>\n`
  const typesFiles = ['/usr/share/collectd/types.db', `${folder}/types.db`]
  await startCollectd('exec', { typesFiles, network: { ...network, protection: 'none' }, exec }, csv)
  return `${folder}/csv/${host}/sluice_host/host_load-`
}

test('what a collectd measures comes into the stream, however it is sent', async () => {
  for (const plugin of ['load', 'memory', 'cpu', 'uptime']) {
    await until(`points of ${plugin}`, () => pointsOf(plugin).length > 0)
  }
  expect(pointsOf('load')[0]).toMatchObject({ host, type: 'load', intervalSeconds: 1 })
  expect(pointsOf('load')[0]?.values).toHaveLength(3)
  expect(pointsOf('memory').every(({ values: [bytes = 0] }) => bytes >= 0)).toBe(true)
  expect(pointsOf('cpu').every(({ values: [jiffies = 0.5] }) => Number.isInteger(jiffies))).toBe(true)
  expect(pointsOf('sluice_host').length).toBeGreaterThan(0)
})

test("the agent's points come into any collectd by its exec plugin", async () => {
  await until('the load of the host is in a file of collectd', async () => {
    const { exitCode, stdout } = await outside.on(host, 'sh', '-c', `cat ${takenFiles}*`)
    return exitCode === 0 && stdout.split('\n').length > 2
  })
  expect(await on('sh', '-c', `head -n 1 ${takenFiles}*`)).toStartWith('epoch,one_minute,five_minutes,fifteen_minutes')
  expect(refused('reservedPlugin')).toBe(0)
})

test('a packet that is forged, or comes twice, or is of a stranger, is refused and counted', async () => {
  const forged = Buffer.from(packet)
  forged.writeUInt8(forged.readUInt8(forged.length - 1) ^ 1, forged.length - 1)
  await send(forged, packet.subarray(0, packet.length - 5))
  await until('the forged ones are refused', () => refused('badSignature') === 2)
  expect(refused('replayed')).toBe(0)
  await send(packet)
  await send(packet)
  await until('the same again is refused', () => refused('replayed') > 0)
  await until('a stranger is refused', () => refused('unknownUser') > 0)
  await until('another host is refused', () => refused('foreignHost') > 0)
  await until('the one that was taken is in the stream, and the refusals are points as well', () => {
    const drops = points.filter(({ type }) => type === 'collectd_drops').map(({ typeInstance }) => typeInstance)
    return pointsOf('entropy').length > 0 && drops.includes('foreignHost') && drops.includes('replayed')
  })
  // The packet may have the values of more than one interval: each was taken once, and refused once.
  expect(pointsOf('entropy')).toHaveLength(refused('replayed'))
  expect(pointsOf('users')).toEqual([])
})
