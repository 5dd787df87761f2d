/**
 * Real haproxies on the loopback device, kept by the agent's own plan: renders what an instance's instructions ask for, and
 * does what the plan says until there is nothing left to do. Members are small servers of this process.
 */

import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import type { InstanceInstructions } from '../../agent/contract/host-instructions.ts'
import type { TrafficInstructions } from '../../agent/contract/traffic-instructions.ts'
import { haproxyFiles } from '../../agent/haproxy/haproxy-files.ts'
import { type HaproxyAnswer, haproxyQuestion, parseHaproxyAnswer } from '../../agent/haproxy/observed-haproxy.ts'
import { type DesiredHaproxy, type ObservedHaproxy, planHaproxy } from '../../agent/haproxy/plan-haproxy.ts'
import { askHaproxy, reloadHaproxy } from '../../agent/operations/haproxy-socket.ts'
import type { Operation } from '../../agent/operations/operation.ts'
import { httpInstance } from '../../templates/golden/instances.ts'
import { renderHaproxyConfig } from '../../templates/haproxy-config.ts'
import { plainTraffic } from '../../templates/plain-traffic.ts'

const patienceMilliseconds = 15_000

export async function untilTrue(what: string, condition: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = performance.now() + patienceMilliseconds
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`${what}: not so after ${patienceMilliseconds} ms`)
    await Bun.sleep(20)
  }
}

export const memberId = (number: number) => `mem_${String(number).padStart(25, '0')}`

export interface WantedMember {
  readonly number: number
  readonly port: number
  readonly address?: string
  readonly weight?: number
}

export const membersOf = (...members: WantedMember[]) =>
  members.map(({ number, port, address = '127.0.0.1', weight = 1 }) => ({
    id: memberId(number),
    address,
    port,
    weight,
  }))

const check = { intervalSeconds: 1, timeoutSeconds: 1, healthyThreshold: 1, unhealthyThreshold: 1 }

/** @param leg also its VIP: an address of 127.0.0.0/8 */
export function makeInstance(
  leg: string,
  change: Partial<InstanceInstructions>,
  traffic: Partial<TrafficInstructions> = {},
): InstanceInstructions {
  return {
    ...httpInstance,
    id: `lbi_${leg.replaceAll('.', '').padStart(25, '0')}`,
    network: { ...httpInstance.network, address: leg },
    uplink: { ...httpInstance.uplink, address: leg },
    vips: httpInstance.vips.slice(0, 1).map((vip) => ({ ...vip, address: leg, peerAddresses: [] })),
    healthCheck: { protocol: 'tcp', ...check },
    ...change,
    traffic: { ...plainTraffic, ...traffic },
  }
}

export interface RealHaproxy {
  /** The run folder, as an agent's. */
  readonly folder: string
  /** Makes haproxy what is wanted; resolves when there is nothing left to do. */
  want(instance: InstanceInstructions): Promise<void>
  /** One turn of the plan; gives what it did. */
  turn(instance: InstanceInstructions): Promise<readonly Operation[]>
  answer(): Promise<HaproxyAnswer>
  ask(command: string): Promise<string>
  stop(): Promise<void>
}

export function createRealHaproxy(): RealHaproxy {
  const folder = mkdtempSync(`${tmpdir()}/sluice-traffic-`)
  let master: Bun.Subprocess | undefined
  let trafficType: InstanceInstructions['trafficType'] = 'http'
  let config: string | undefined
  let candidate: string | undefined
  let files = haproxyFiles(folder, httpInstance.id)
  const drainingSince = new Map<string, number>()

  const read = async () => parseHaproxyAnswer(await askHaproxy(files.statsSocket, haproxyQuestion(trafficType)))

  const observe = async (): Promise<ObservedHaproxy> => {
    if (master === undefined) return { status: 'stopped', config, drainingSeconds: new Map(), fault: undefined }
    const answer = await read().catch(() => undefined)
    const leaving = (answer?.servers ?? []).filter(({ isDraining, isInMaintenance }) => isDraining || isInMaintenance)
    const paths = new Set(leaving.map(({ backend, name }) => `${backend}/${name}`))
    for (const path of [...drainingSince.keys()]) if (!paths.has(path)) drainingSince.delete(path)
    for (const path of paths) if (!drainingSince.has(path)) drainingSince.set(path, performance.now())
    const seconds = [...drainingSince].map(([path, since]) => [path, (performance.now() - since) / 1000] as const)
    return {
      status: answer ? 'answering' : 'starting',
      config,
      answer,
      drainingSeconds: new Map(seconds),
      fault: '0\n',
    }
  }

  const carryOut = async (operation: Operation): Promise<void> => {
    switch (operation.kind) {
      case 'writeFile':
        writeFileSync(operation.path, operation.content)
        if (operation.path === files.config) config = operation.content
        else candidate = operation.content
        return
      case 'renameFile':
        renameSync(operation.from, operation.to)
        config = candidate
        return
      case 'checkConfig': {
        const { exitCode, stderr } = Bun.spawnSync([...operation.argv])
        if (exitCode !== 0) throw new Error(stderr.toString())
        return
      }
      case 'startDaemon':
        master = Bun.spawn([...operation.argv], { stdout: 'ignore', stderr: 'ignore' })
        return
      case 'haproxyCommand': {
        const said = (await askHaproxy(operation.socket, operation.command)).trim()
        const isFine = said === '' || (operation.accepted ?? []).some((word) => said.startsWith(word))
        if (!isFine) throw new Error(`${operation.command}: ${said}`)
        return
      }
      case 'reloadHaproxy': {
        const failure = await reloadHaproxy(askHaproxy, operation)
        if (failure !== undefined) throw new Error(failure)
        return
      }
      default:
        throw new Error(`BUG: nobody plans ${operation.kind} for haproxy`)
    }
  }

  const turn = async (instance: InstanceInstructions) => {
    trafficType = instance.trafficType
    files = haproxyFiles(folder, instance.id)
    mkdirSync(files.config.slice(0, files.config.lastIndexOf('/')), { recursive: true })
    const rendered = renderHaproxyConfig(instance, { statsSocket: files.statsSocket, threads: 2 })
    const desired: DesiredHaproxy = { instance, rendered, files }
    const operations = planHaproxy(desired, await observe())
    for (const operation of operations) await carryOut(operation)
    return operations
  }

  return {
    folder,
    turn,
    async want(instance) {
      await untilTrue('haproxy is as it is wanted', async () => {
        // Asked before the turn: one whose first check ends after it is still to be made ready by the next.
        const answer = await read().catch(() => undefined)
        const isChecked = answer?.servers.every(({ health }) => health !== 'unknown') === true
        return (await turn(instance)).length === 0 && isChecked
      })
    },
    async answer() {
      const answer = await read()
      if (answer === undefined) throw new Error('haproxy gave no whole answer')
      return answer
    },
    ask: (command) => askHaproxy(files.statsSocket, command),
    async stop() {
      master?.kill('SIGKILL')
      await master?.exited
      const pids = Bun.spawnSync(['pgrep', '-f', folder]).stdout.toString().split('\n').filter(Boolean)
      for (const pid of pids) process.kill(Number(pid), 'SIGKILL')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export interface WebMember {
  readonly number: number
  readonly port: number
  /** The requests that it has seen, as `METHOD /path`. */
  readonly seen: string[]
  stop(): Promise<void>
}

/** Answers with its number and what it was told of the client; `/wait/MILLISECONDS` takes so long. */
export function startMember(number: number, port = 0): WebMember {
  const seen: string[] = []
  const server = Bun.serve({
    port,
    hostname: '127.0.0.1',
    idleTimeout: 60,
    async fetch(request) {
      const { pathname } = new URL(request.url)
      if (pathname !== '/health') seen.push(`${request.method} ${pathname}`)
      const wait = /^\/wait\/(\d+)$/.exec(pathname)?.[1]
      if (wait !== undefined) await Bun.sleep(Number(wait))
      await request.arrayBuffer()
      return new Response(`${number} ${request.headers.get('x-forwarded-for') ?? '-'}\n`)
    },
  })
  return { number, port: server.port ?? 0, seen, stop: () => server.stop(true) }
}

export interface CurlAnswer {
  readonly status: number
  readonly body: string
  /** As it came. */
  readonly head: string
}

/** With real curl; a status of 0 is no answer at all. */
export async function curl(url: string, ...options: readonly string[]): Promise<CurlAnswer> {
  const process = Bun.spawn(['curl', '-s', '-i', '--max-time', '10', ...options, url], {
    stdout: 'pipe',
    stderr: 'ignore',
  })
  const text = await new Response(process.stdout).text()
  // An interim answer, as `100 Continue`, comes before the real one.
  const real = text.replace(/^(HTTP\/1\.1 1\d\d [^\r]*\r\n\r\n)+/, '')
  const [head = '', ...rest] = real.split('\r\n\r\n')
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1] ?? 0), body: rest.join('\r\n\r\n'), head }
}

export const cookieOf = ({ head }: CurlAnswer) => /^set-cookie: (\w+=[^;\r]+)/im.exec(head)?.[1]
