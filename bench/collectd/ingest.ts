/** Receivers of collectd's packets, ours in a process of its own and a real collectd, and what either uses of a processor. */

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { encodePackets } from '../../agent/contract/collectd/encode-packet.ts'
import type { ValueList } from '../../agent/contract/collectd/packet-parts.ts'
import { type Credentials, signPacket } from '../../agent/contract/collectd/protect-packet.ts'
import { waitUntil } from '../../lab/wait.ts'
import { type CollectdPlace, renderCollectdConfig } from '../../templates/collectd.ts'
import type { Cleanup } from '../system/cleanup.ts'

export const host = 'bench'
export const receiverPort = 25_826
export const credentials: Credentials = { user: 'bench', password: 'bench' }

export interface Receiver {
  readonly pid: number
  /** The socket's own drops, by the kernel's table. */
  dropped(): number
  stop(): Promise<void>
}

const waitSeconds = 60
const ticksPerSecond = 100
/** No further than a clock may be ahead. */
const aheadSeconds = 20

/** Of all threads, user's and kernel's; counted in hundredths. */
export function cpuSecondsOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

/** As a host with a few hundred series sends them, round by round, each a little later than the one before. */
export function makePackets(series: number, packetsWanted: number, isSigned: boolean): readonly Buffer[] {
  const packets: Buffer[] = []
  // What was measured before a receiver began is refused.
  const startSeconds = Date.now() / 1000 + aheadSeconds
  for (let round = 0; packets.length < packetsWanted; round += 1) {
    const lists = Array.from({ length: series }, (_, index) => makeList(index, startSeconds + round / 500, round))
    const payloads = encodePackets(lists, 1380)
    packets.push(...payloads.map((payload) => (isSigned ? signPacket(payload, credentials) : payload)))
  }
  return packets.slice(0, packetsWanted)
}

function makeList(index: number, timeSeconds: number, round: number): ValueList {
  const device = { host, plugin: 'interface', pluginInstance: `eth${index % 40}`, timeSeconds, intervalSeconds: 10 }
  const kinds = ['DERIVE', 'DERIVE'] as const
  const types = ['if_octets', 'if_packets', 'if_errors', 'if_dropped'] as const
  const typeInstance = `${Math.floor(index / 160)}`
  const type = types[Math.floor(index / 40) % 4] ?? 'if_octets'
  return { ...device, type, typeInstance, values: [round * 1000 + index, round * 900], kinds }
}

/** The kernel's table of sockets: port in hexadecimal, drops in the last column. */
function droppedAt(port: number): number {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const row = readFileSync('/proc/net/udp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find(([, local = '']) => local.endsWith(wanted))
  return Number(row?.at(-1) ?? Number.NaN)
}

export async function startOwnReceiver(cleanup: Cleanup): Promise<Receiver> {
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/receive.ts`], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  return await untilListening(cleanup, { pid: child.pid, kill: () => child.kill('SIGKILL'), ended: child.exited })
}

export type Writing = 'csv' | 'nothing'

export async function startCollectd(cleanup: Cleanup, writing: Writing, isSigned: boolean): Promise<Receiver> {
  const folder = '/dev/shm/sluice-bench-collectd'
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  cleanup.defer('what collectd wrote', async () => rmSync(folder, { recursive: true, force: true }))
  const place: CollectdPlace = {
    host: 'receiver',
    intervalSeconds: 10,
    typesFiles: ['/usr/share/collectd/types.db'],
    sources: writing === 'csv' ? ['csv'] : [],
  }
  writeFileSync(`${folder}/users`, `${credentials.user}: ${credentials.password}\n`)
  const security = isSigned ? `    SecurityLevel "Sign"\n    AuthFile "${folder}/users"\n` : ''
  const listen = `LoadPlugin network\n<Plugin network>\n  <Listen "127.0.0.1" "${receiverPort}">\n${security}  </Listen>\n</Plugin>\n`
  const csv = writing === 'csv' ? `<Plugin csv>\n  DataDir "${folder}/csv"\n</Plugin>\n` : ''
  const log = `LoadPlugin logfile\n<Plugin logfile>\n  LogLevel err\n  File "${folder}/log"\n</Plugin>\n`
  writeFileSync(`${folder}/collectd.conf`, `${log}${renderCollectdConfig(place)}${listen}${csv}`)
  const argv = ['collectd', '-f', '-C', `${folder}/collectd.conf`, '-P', `${folder}/pid`]
  const child = Bun.spawn(argv, { stdio: ['ignore', 'ignore', 'ignore'] })
  return await untilListening(cleanup, { pid: child.pid, kill: () => child.kill('SIGKILL'), ended: child.exited })
}

interface Started {
  readonly pid: number
  readonly kill: () => void
  readonly ended: Promise<unknown>
}

async function untilListening(cleanup: Cleanup, { pid, kill, ended }: Started): Promise<Receiver> {
  const stop = async () => {
    kill()
    await ended
  }
  cleanup.defer('a receiver', stop)
  await waitUntil(async () => !Number.isNaN(droppedAt(receiverPort)) && existsSync(`/proc/${pid}`), {
    what: () => 'the receiver to listen',
    timeoutSeconds: waitSeconds,
    intervalMilliseconds: 50,
  })
  return { pid, dropped: () => droppedAt(receiverPort), stop }
}
