/** The lab's controller: its settings, its start, its end. It runs on the machine itself, not in a namespace. */

import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { labEnvironment } from './commands.ts'
import { nameServerEnvironment } from './name-server.ts'
import { isAlive, observeProcess, type ProcessReference } from './processes.ts'
import {
  adminTokenFile,
  apiPort,
  controllerAddress,
  controllerFolder,
  type LabSettings,
  logFolder,
  loopbackUrl,
  natsPort,
  uplinkCidr,
  uplinkGateway,
} from './settings.ts'
import { waitUntil } from './wait.ts'

export const repositoryFolder = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')

const startTimeoutSeconds = 30
const startPollMilliseconds = 25
const requestTimeoutMilliseconds = 2000
const logLinesShown = 15

/** Handed on from the environment of whoever starts the lab: how the controller behaves, not where it is. */
const variablesHandedOn = [
  'SLUICE_LOG_LEVEL',
  'SLUICE_ADVERT_INTERVAL_SECONDS',
  'SLUICE_PREEMPT_DELAY_SECONDS',
  'SLUICE_DNS_TTL_SECONDS',
  'SLUICE_DNS_SWEEP_SECONDS',
  'SLUICE_SWEEP_SECONDS',
  'SLUICE_SUSPECT_AFTER_SECONDS',
  'SLUICE_GRACE_SECONDS',
  'SLUICE_BREAKER_SHARE',
  'SLUICE_BREAKER_WINDOW_SECONDS',
]

/** All but where it is, and which servers it uses. */
export function commonEnvironment(settings: LabSettings): Record<string, string> {
  return {
    ...labEnvironment(settings.name),
    ...Object.fromEntries(variablesHandedOn.flatMap((name) => [[name, process.env[name]]]).filter(hasValue)),
    SLUICE_STATE_FOLDER: controllerFolder(settings),
    SLUICE_ADMIN_TOKEN_FILE: adminTokenFile(settings),
    SLUICE_UPLINK_CIDR: uplinkCidr,
    SLUICE_UPLINK_GATEWAY: uplinkGateway,
    ...nameServerEnvironment(settings),
  }
}

export const controllerEnvironment = (settings: LabSettings): Record<string, string> => ({
  ...commonEnvironment(settings),
  SLUICE_LISTEN: `127.0.0.1:${apiPort},${controllerAddress}:${apiPort}`,
  SLUICE_NATS_LISTEN: `${controllerAddress}:${natsPort}`,
})

const hasValue = (entry: (string | undefined)[]): entry is [string, string] => entry[1] !== undefined

/** The lab's admin token; the controller makes it at its first start. */
export function readAdminToken(settings: LabSettings): string {
  return readFileSync(adminTokenFile(settings), 'utf8').trim()
}

/** Starts it detached; `onStart` is told at once, so that it is known even if this process dies while it waits. */
export async function startController(
  settings: LabSettings,
  onStart: (reference: ProcessReference) => void,
): Promise<void> {
  mkdirSync(controllerFolder(settings), { recursive: true, mode: 0o700 })
  mkdirSync(logFolder(settings), { recursive: true })
  const logFile = controllerLog(settings)
  const log = openSync(logFile, 'a')
  const child = Bun.spawn([process.execPath, 'controller/main.ts'], {
    cwd: repositoryFolder,
    env: controllerEnvironment(settings),
    stdin: 'ignore',
    stdout: log,
    stderr: log,
    detached: true,
  })
  closeSync(log)
  child.unref()
  preferSession(child.pid)
  const reference = observeProcess(child.pid)
  if (reference === undefined) throw new Error(`the controller ended at once:\n${lastLines(logFile)}`)
  onStart(reference)
  await waitUntil(
    async () => {
      if (!isAlive(reference)) throw new Error(`the controller ended at its start:\n${lastLines(logFile)}`)
      // The controller makes the token before it serves.
      return existsSync(adminTokenFile(settings)) && (await answers(readAdminToken(settings)))
    },
    {
      what: () => `the controller to answer at ${loopbackUrl}; the end of ${logFile}:\n${lastLines(logFile)}`,
      timeoutSeconds: startTimeoutSeconds,
      intervalMilliseconds: startPollMilliseconds,
    },
  )
}

export const controllerLog = (settings: LabSettings) => `${logFolder(settings)}/controller.log`

export async function answers(token: string, url: string = loopbackUrl): Promise<boolean> {
  try {
    const response = await fetch(`${url}/v1/hosts`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(requestTimeoutMilliseconds),
    })
    return response.ok
  } catch {
    return false
  }
}

export function lastLines(path: string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-logLinesShown).join('\n')
  } catch {
    return '(no log)'
  }
}

/** On a machine of its own nobody competes with it; here all hosts do. Where the kernel knows no groups, nothing is lost. */
function preferSession(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/autogroup`, '-10')
  } catch {
    // It is as any other, then.
  }
}
