/**
 * Hosts for tests of the agent alone: each is net + mount + pid + uts namespaces with tini as process 1, joined by an
 * uplink and an underlay segment that live in a namespace of their own, so that nothing is made outside of them.
 */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AgentSettings } from '../../agent/contract/enrolment.ts'
import type { HostInstructions } from '../../agent/contract/host-instructions.ts'
import type { HostReport } from '../../agent/contract/host-report.ts'

const agentScript = join(import.meta.dir, '../../agent/main.ts')

export interface TestHost {
  readonly name: string
  readonly underlayAddress: string
  readonly folder: string
  /** Runs a program on the host to its end; throws if it fails. */
  run(...argv: readonly string[]): Promise<string>
  /** The same, but a failure is an answer. */
  try(...argv: readonly string[]): Promise<{ exitCode: number; stdout: string; stderr: string }>
  spawn(...argv: readonly string[]): Bun.Subprocess
  writeInstructions(instructions: HostInstructions): void
  startAgent(): void
  /** SIGKILL: no farewell. */
  killAgent(): Promise<void>
  /** The agent's log lines. */
  log(): Record<string, unknown>[]
  report(): HostReport | undefined
  /**
   * A pass with a fresh agent that ends when everything has been tried. A host has one agent at a time, so the one that
   * runs is killed before and started again afterwards.
   */
  runOnce(): Promise<{ report: HostReport; log: Record<string, unknown>[] }>
  agentPid(): number | undefined
}

export interface TestHosts {
  readonly hosts: readonly TestHost[]
  readonly folder: string
  /** Runs where the segments are. */
  onSegments(...argv: readonly string[]): Promise<string>
  /** A program that runs there until it is told to end: without a process namespace between, so that its pid is its own. */
  spawnOnSegments(...argv: readonly string[]): Bun.Subprocess<'ignore', 'pipe', 'inherit'>
  stop(): Promise<void>
}

const stepMilliseconds = 10

/** Resolves once `condition` gives something; throws with what was waited for when the time is up. */
export async function until<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  seconds = 15,
): Promise<T> {
  const deadline = performance.now() + seconds * 1000
  for (;;) {
    const value = await condition()
    if (value !== undefined && value !== false) return value
    if (performance.now() > deadline) throw new Error(`waited ${seconds} s in vain until ${what}`)
    await Bun.sleep(stepMilliseconds)
  }
}

export async function startTestHosts(names: readonly string[]): Promise<TestHosts> {
  for (const needed of ['/run/netns', '/etc/netns']) mkdirSync(needed, { recursive: true })
  const folder = mkdtempSync(join(tmpdir(), 'sluice-agent-lab-'))
  const roots: Root[] = []
  const stop = async () => {
    for (const root of roots) root.child.kill('SIGKILL')
    await Promise.all(roots.map((root) => root.child.exited))
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const segments = await startRoot('segments')
    roots.push(segments)
    await mustRun(
      segments.enter,
      ['ip', '-batch', '-'],
      'link add uplink0 type bridge forward_delay 0\nlink set uplink0 up\nlink add underlay0 type bridge forward_delay 0\nlink set underlay0 up\n',
    )
    const hosts: TestHost[] = []
    for (const [index, name] of names.entries()) {
      const root = await startRoot(name)
      roots.push(root)
      await joinSegments(segments, root, index)
      hosts.push(createHost(root, name, index, join(folder, name)))
    }
    return {
      hosts,
      folder,
      onSegments: (...argv) => mustRun(segments.enter, argv),
      spawnOnSegments: (...argv) =>
        Bun.spawn(['nsenter', '-t', String(segments.pid), '-n', '--', ...argv], {
          stdio: ['ignore', 'pipe', 'inherit'],
        }),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

interface Root {
  readonly child: Bun.Subprocess
  readonly pid: number
  readonly enter: readonly string[]
}

/** A first process with namespaces of its own: when it dies, all of them go. */
async function startRoot(name: string): Promise<Root> {
  const script = [
    'mount -t tmpfs none /run/netns',
    'mount -t tmpfs none /etc/netns',
    `hostname ${name}`,
    'ip link set lo up',
    'exec tini -s -- sleep infinity',
  ].join(' && ')
  const child = Bun.spawn(
    ['unshare', '--net', '--mount', '--pid', '--uts', '--fork', '--kill-child', '--mount-proc', 'sh', '-c', script],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  )
  const pid = await until(`${name} has its process 1`, () => {
    const children = readOr('', () => readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')).trim()
    const first = Number(children.split(' ')[0])
    return first > 0 && readOr('', () => readFileSync(`/proc/${first}/comm`, 'utf8')).trim() === 'tini' && first
  })
  return { child, pid, enter: ['nsenter', '-t', String(pid), '-n', '-m', '-p', '-u', '--'] }
}

async function joinSegments(segments: Root, host: Root, index: number): Promise<void> {
  const lines = [
    `link add u${index} type veth peer name up0 netns ${host.pid}`,
    `link set u${index} master uplink0 up`,
    `link add n${index} type veth peer name und0 netns ${host.pid}`,
    `link set n${index} master underlay0 up`,
  ]
  // The segments are in their own process namespace, so the host is named from outside.
  await mustRun(['nsenter', '-t', String(segments.pid), '-n', '--'], ['ip', '-batch', '-'], `${lines.join('\n')}\n`)
  const within = ['link set up0 up', 'link set und0 up', `address add ${underlayAddress(index)}/24 dev und0`]
  await mustRun(host.enter, ['ip', '-batch', '-'], `${within.join('\n')}\n`)
}

const underlayAddress = (index: number) => `198.18.0.${index + 1}`

function createHost(root: Root, name: string, index: number, folder: string): TestHost {
  mkdirSync(folder, { recursive: true })
  const settings: AgentSettings = {
    format: 1,
    host: name,
    controllerUrl: 'http://198.18.0.254:7480',
    natsServers: [],
    uplinkDevice: 'up0',
    underlayAddress: underlayAddress(index),
    underlayDevice: 'und0',
    stateFolder: join(folder, 'state'),
    runFolder: join(folder, 'run'),
  }
  writeFileSync(join(folder, 'agent.json'), JSON.stringify(settings))
  const instructionsFile = join(folder, 'instructions.json')
  const reportFile = join(folder, 'report.json')
  const logFile = join(folder, 'agent.log')
  const agentArgv = [
    process.execPath,
    agentScript,
    'run',
    '--configuration',
    folder,
    '--instructions',
    instructionsFile,
  ]
  let agent: Bun.Subprocess | undefined

  return {
    name,
    underlayAddress: settings.underlayAddress,
    folder,
    run: (...argv) => mustRun(root.enter, argv),
    try: (...argv) => runAt(root.enter, argv),
    spawn: (...argv) => Bun.spawn([...root.enter, ...argv], { stdio: ['ignore', 'ignore', 'ignore'] }),
    writeInstructions(instructions) {
      writeFileSync(`${instructionsFile}.new`, JSON.stringify(instructions))
      renameSync(`${instructionsFile}.new`, instructionsFile)
    },
    startAgent() {
      const log = Bun.file(logFile)
      agent = Bun.spawn([...root.enter, ...agentArgv, '--report', reportFile], { stdio: ['ignore', log, 'inherit'] })
    },
    async killAgent() {
      const pid = this.agentPid()
      if (pid !== undefined) process.kill(pid, 'SIGKILL')
      await agent?.exited
    },
    log: () => parseLog(readOr('', () => readFileSync(logFile, 'utf8'))),
    report: () => readOr(undefined, () => JSON.parse(readFileSync(reportFile, 'utf8')) as HostReport),
    async runOnce() {
      const wasRunning = this.agentPid() !== undefined
      await this.killAgent()
      const stdout = await mustRun(root.enter, [...agentArgv, '--once'])
      if (wasRunning) this.startAgent()
      const lines = parseLog(stdout)
      return { report: lines.at(-1) as unknown as HostReport, log: lines.slice(0, -1) }
    },
    agentPid() {
      // nsenter forks to be in the process namespace, so the agent is its child.
      if (agent === undefined) return undefined
      const children = readOr('', () => readFileSync(`/proc/${agent?.pid}/task/${agent?.pid}/children`, 'utf8'))
      return Number(children.trim().split(' ')[0]) || undefined
    },
  }
}

function parseLog(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

async function runAt(enter: readonly string[], argv: readonly string[], input?: string) {
  const child = Bun.spawn([...enter, ...argv], {
    stdin: input === undefined ? 'ignore' : Buffer.from(input),
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { stdout, stderr, exitCode }
}

async function mustRun(enter: readonly string[], argv: readonly string[], input?: string): Promise<string> {
  const { stdout, stderr, exitCode } = await runAt(enter, argv, input)
  if (exitCode !== 0) throw new Error(`${argv.join(' ')}: exit ${exitCode}\n${stdout}${stderr}`)
  return stdout
}

function readOr<T>(fallback: T, read: () => T): T {
  try {
    return read()
  } catch {
    return fallback
  }
}

/** For looks at what is left: the names in a folder of a host. */
export const listFolder = (path: string) => readOr<string[]>([], () => readdirSync(path))
