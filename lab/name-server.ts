/**
 * The lab's name server: a machine of its own with Knot in it, on the underlay for the controller and behind the router for
 * the client. Its zone is `<the lab's name>.test`. A lab on a machine without Knot has none, and its balancers no names.
 */

import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { labEnvironment, must, type Run, searchPath } from './commands.ts'
import { configurationFile, renderEmptyZone, renderKnotConfiguration, zoneFile } from './knot-configuration.ts'
import { type LabState, livingProcess, writeLabState } from './lab-state.ts'
import { ipBatch, startMachine } from './namespaces.ts'
import { planNameServer, planNameServerPorts } from './network-plan.ts'
import { isAlive, killProcesses, observeProcess } from './processes.ts'
import {
  type LabSettings,
  logFolder,
  nameServerAddress,
  nameServerFolder,
  nameServerKeyFile,
  nameServerUnderlayAddress,
  zoneOf,
} from './settings.ts'
import { waitUntil } from './wait.ts'

const dnsPort = 53
const startTimeoutSeconds = 10
const secretBytes = 32

export const isKnotThere = (): boolean => Bun.which('knotd', { PATH: searchPath() }) !== null

/** Its key, settings and empty zone: what the controller needs to know, before either of the two runs. */
export function prepareNameServer(settings: LabSettings): void {
  const folder = nameServerFolder(settings)
  const key = `hmac-sha256:sluice:${randomBytes(secretBytes).toString('base64')}`
  const listen = [nameServerAddress, nameServerUnderlayAddress].map((address) => `${address}@${dnsPort}`)
  const knot = { folder, zone: zoneOf(settings), listen, key }
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  writeFileSync(nameServerKeyFile(settings), `${key}\n`, { mode: 0o600 })
  writeFileSync(configurationFile(knot), renderKnotConfiguration(knot), { mode: 0o600 })
  writeFileSync(zoneFile(knot), renderEmptyZone(knot))
  writeFileSync(resolverFile(settings), `nameserver ${nameServerAddress}\noptions timeout:1 attempts:2\n`)
}

/** What the controller is told of it; nothing where this lab keeps no names. */
export function nameServerEnvironment(settings: LabSettings): Record<string, string> {
  if (!existsSync(nameServerKeyFile(settings))) return {}
  return {
    SLUICE_DNS_ZONE: zoneOf(settings),
    SLUICE_DNS_SERVER: `${nameServerUnderlayAddress}:${dnsPort}`,
    SLUICE_DNS_KEY_FILE: nameServerKeyFile(settings),
  }
}

/** Its machine, with Knot in it, and the client's resolver. Fills in `state`. */
export async function buildNameServer(run: Run, settings: LabSettings, state: LabState): Promise<void> {
  if (state.router === null || state.client === null)
    throw new Error('BUG: a name server before the router and the client')
  const machine = await startMachine(settings.name, { hostname: 'names' })
  state.names = { machine, process: null }
  writeLabState(settings, state)
  await ipBatch(run, state.router.pid, planNameServerPorts(machine.pid))
  await ipBatch(run, machine.pid, planNameServer())
  await startNameServer(settings, state)
  const enterClient = ['nsenter', '-t', String(state.client.pid), '-m', '--']
  await must(run, [...enterClient, 'mount', '-n', '--bind', resolverFile(settings), '/etc/resolv.conf'])
}

/** False: it runs, or there is none. */
export async function startNameServer(settings: LabSettings, state: LabState): Promise<boolean> {
  const { names } = state
  if (names === null || isAlive(names.process ?? undefined)) return false
  const machine = livingProcess(names.machine)
  if (machine === undefined) throw new Error("the name server's machine is gone; `sluice lab up` starts the lab anew")
  mkdirSync(logFolder(settings), { recursive: true })
  const log = openSync(nameServerLog(settings), 'a')
  const enter = ['nsenter', '-t', String(machine.pid), '-n', '-m', '--']
  const knot = { folder: nameServerFolder(settings) }
  const child = Bun.spawn([...enter, 'knotd', '--config', configurationFile(knot)], {
    env: labEnvironment(settings.name),
    stdin: 'ignore',
    stdout: log,
    stderr: log,
    detached: true,
  })
  closeSync(log)
  child.unref()
  const reference = observeProcess(child.pid)
  if (reference === undefined) throw new Error(`the name server ended at once:\n${readLog(settings)}`)
  names.process = reference
  writeLabState(settings, state)
  await waitUntil(
    async () => {
      if (!isAlive(reference)) throw new Error(`the name server ended at its start:\n${readLog(settings)}`)
      return await listens()
    },
    { what: () => `the name server to listen:\n${readLog(settings)}`, timeoutSeconds: startTimeoutSeconds },
  )
  return true
}

/** Ends it at once, as a crash does; its zone and journal stay. */
export async function killNameServer(settings: LabSettings, state: LabState): Promise<void> {
  const { names } = state
  if (names === null) throw new Error('this lab has no name server; install Knot by `scripts/setup`, and start it anew')
  if (names.process !== null) await killProcesses([names.process])
  names.process = null
  writeLabState(settings, state)
}

const resolverFile = (settings: LabSettings) => `${nameServerFolder(settings)}/resolv.conf`
const nameServerLog = (settings: LabSettings) => `${logFolder(settings)}/knotd.log`

function readLog(settings: LabSettings): string {
  try {
    return readFileSync(nameServerLog(settings), 'utf8').trimEnd()
  } catch {
    return '(no log)'
  }
}

function listens(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: nameServerUnderlayAddress, port: dnsPort })
    const end = (isListening: boolean) => {
      socket.destroy()
      resolve(isListening)
    }
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
  })
}
