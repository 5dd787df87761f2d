/**
 * The embedded nats-server, kept running: one child, started again with growing pauses whenever it ends, ended with the
 * controller. A server that outlived its controller is taken over as it is, so that no agent loses its connection, or
 * ended where its settings are of another time. It owns its folder and that process alone.
 */

import { createHash } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { sleep } from '../control-plane/connection-watch.ts'
import { refuseOldServerVersion } from '../control-plane/server-version.ts'
import type { AccountToken } from './accounts.ts'
import type { Address } from './bus-address.ts'
import { readFileOrNull, secretMode, writeDurableFile } from './durable-file.ts'
import { renderServerConfiguration, type ServerCluster } from './server-configuration.ts'
import {
  endServerProcess,
  findServerProcess,
  isLockConflict,
  readLastWords,
  readServerVersion,
  type ServerFolder,
  type ServerProcess,
  startServerProcess,
  waitUntilReady,
} from './server-process.ts'

export interface NatsServerOptions {
  /** The bus's folder: nats-server's configuration, store, lock and log are kept here. */
  readonly folder: string
  /** The one address to listen on, e.g. `198.18.0.254:4222`. */
  readonly listen: string
  /** By which it is reached from here. */
  readonly local: Address
  readonly operatorToken: string
  readonly systemAccount: string
  /** Asked at each start, so that a server never begins with users who have been revoked since. */
  readonly accountTokens: () => Promise<readonly AccountToken[]>
  readonly certificateFile: string
  readonly keyFile: string
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
  /** Another build of nats-server. */
  readonly program?: string
  /** Left out: it is the only one, and its controller's own. */
  readonly cluster?: ServerCluster
}

export interface NatsServer {
  readonly version: string
  status(): NatsServerStatus
  /** Has it read its certificate again. */
  reload(): Promise<void>
  /** Ends it. */
  close(): Promise<void>
}

export interface NatsServerStatus {
  readonly pid: number | null
  /** True: the running process was started by a controller before this one. */
  readonly isAdopted: boolean
  /** How often it ended by itself and was started again. */
  readonly restarts: number
}

const readyMillisecondsMaximum = 120_000
/** An orphan has had its time to start; one that doesn't greet by now hangs. */
const adoptedReadyMillisecondsMaximum = 3_000
const endGraceMilliseconds = 15_000
const pauseMillisecondsMinimum = 100
const pauseMillisecondsMaximum = 2_000
/** A server that lived this long was well: the next pause is the shortest again. */
const wellMilliseconds = 30_000
const lockAttemptsMaximum = 3

/** Resolves when the server answers; rejects with what it said when it does not. */
export async function startNatsServer(options: NatsServerOptions): Promise<NatsServer> {
  const program = options.program ?? 'nats-server'
  const version = await readServerVersion(program)
  refuseOldServerVersion(version)
  const place: ServerFolder = {
    folder: options.folder,
    configurationFile: join(options.folder, 'nats-server.conf'),
    logFile: join(options.folder, 'nats-server.log'),
  }
  const { logger } = options
  const closing = new AbortController()
  let restarts = 0
  let current: ServerProcess | null = await begin(options, place, { program, version })

  async function supervise(first: ServerProcess): Promise<void> {
    let server: ServerProcess | null = first
    let pauseMilliseconds = pauseMillisecondsMinimum
    while (server !== null) {
      const startedAt = performance.now()
      const exitCode = await server.exited
      current = null
      if (closing.signal.aborted) return
      restarts += 1
      logger.error({ exitCode, pid: server.pid }, 'nats-server ended; it is started again')
      if (performance.now() - startedAt >= wellMilliseconds) pauseMilliseconds = pauseMillisecondsMinimum
      server = null
      while (server === null && !closing.signal.aborted) {
        await sleep(pauseMilliseconds, closing.signal)
        pauseMilliseconds = Math.min(2 * pauseMilliseconds, pauseMillisecondsMaximum)
        server = await tryAgain()
      }
      current = server
    }
  }

  async function tryAgain(): Promise<ServerProcess | null> {
    try {
      return await begin(options, place, { program, version, signal: closing.signal })
    } catch (error) {
      if (!closing.signal.aborted) logger.error({ err: error }, "nats-server can't be started; it is tried again")
      return null
    }
  }

  const supervising = supervise(current)
  return {
    version,
    status: () => ({ pid: current?.pid ?? null, isAdopted: current?.isAdopted ?? false, restarts }),
    async reload() {
      await writeConfiguration(options, place, version)
      current?.signal('SIGHUP')
    },
    async close() {
      closing.abort()
      const running = current
      if (running !== null) await endServerProcess(running, endGraceMilliseconds)
      await supervising
    },
  }
}

interface Program {
  readonly program: string
  readonly version: string
  readonly signal?: AbortSignal
}

/** Takes over the server that runs, or starts one. */
async function begin(options: NatsServerOptions, place: ServerFolder, program: Program): Promise<ServerProcess> {
  await mkdir(place.folder, { recursive: true, mode: 0o700 })
  for (let attempt = 1; ; attempt++) {
    const orphan = await findServerProcess(place)
    if (orphan !== null) {
      if (await isWorthAdopting(options, place, { orphan, version: program.version })) return orphan
      await endServerProcess(orphan, endGraceMilliseconds)
    }
    const started = await startOne(options, place, program)
    if (started !== 'locked') return started
    if (attempt < lockAttemptsMaximum) continue
    throw new Error(
      `another process holds ${join(place.folder, 'lock')} and is not seen from here: end the nats-server that uses ` +
        'this folder, as two on one store would ruin it',
    )
  }
}

async function isWorthAdopting(
  options: NatsServerOptions,
  place: ServerFolder,
  found: { readonly orphan: ServerProcess; readonly version: string },
): Promise<boolean> {
  const { orphan } = found
  const written = (await readFileOrNull(place.configurationFile)) ?? ''
  const wanted = `${settingsMark}${fingerprintSettings(options, place, found.version)}`
  if (written.split('\n', 1)[0] !== wanted) {
    options.logger.info({ pid: orphan.pid }, 'the nats-server that still runs has other settings, so it is ended')
    return false
  }
  const readiness = await waitUntilReady(orphan, expectedServer(options), adoptedReadyMillisecondsMaximum)
  if (readiness === 'ready') {
    options.logger.info({ pid: orphan.pid }, 'the nats-server that still runs is taken over')
    return true
  }
  options.logger.warn({ pid: orphan.pid }, 'the nats-server that still runs does not answer, so it is ended')
  orphan.signal('SIGKILL')
  return false
}

async function startOne(
  options: NatsServerOptions,
  place: ServerFolder,
  program: Program,
): Promise<ServerProcess | 'locked'> {
  await writeConfiguration(options, place, program.version)
  // The resolver's folder of a server that is alone only repeats what the configuration says. It is made anew, since what
  // is in it wins over the configuration when the clock has gone back. In a cluster it holds what controllers have said
  // since, which the configuration doesn't know.
  if (options.cluster === undefined) await rm(resolverFolderOf(place), { recursive: true, force: true })
  const server = await startServerProcess(place, program.program)
  const abort = () => server.signal('SIGTERM')
  program.signal?.addEventListener('abort', abort, { once: true })
  const readiness = await waitUntilReady(server, expectedServer(options), readyMillisecondsMaximum)
  program.signal?.removeEventListener('abort', abort)
  if (readiness === 'ready') return server
  if (readiness === 'late') await endServerProcess(server, endGraceMilliseconds)
  if (isLockConflict(await server.exited)) return 'locked'
  const what =
    readiness === 'late' ? `did not answer within ${readyMillisecondsMaximum / 1000} s` : 'ended at its start'
  throw new Error(`nats-server on ${options.listen} ${what}. It said:\n${await readLastWords(place)}`)
}

/** One name a bus, so that a server of another one on the same port is not taken for ours. */
export const busNameOf = (systemAccount: string) => `sluice-${systemAccount.slice(1, 13).toLowerCase()}`
const serverNameOf = ({ systemAccount, cluster }: NatsServerOptions) =>
  cluster === undefined ? busNameOf(systemAccount) : `${busNameOf(systemAccount)}-${cluster.nodeName}`
const expectedServer = (options: NatsServerOptions) => ({ ...options.local, serverName: serverNameOf(options) })

const settingsMark = '# settings '
const resolverFolderOf = (place: ServerFolder) => join(place.folder, 'resolver')

async function writeConfiguration(options: NatsServerOptions, place: ServerFolder, version: string): Promise<void> {
  const text = renderServerConfiguration({
    ...fixedSettings(options, place),
    operatorToken: options.operatorToken,
    accounts: await options.accountTokens(),
  })
  const mark = `${settingsMark}${fingerprintSettings(options, place, version)}`
  await writeDurableFile(place.configurationFile, `${mark}\n${text}`, secretMode)
}

function fixedSettings(options: NatsServerOptions, place: ServerFolder) {
  return {
    listen: options.listen,
    serverName: serverNameOf(options),
    storeFolder: join(place.folder, 'store'),
    resolverFolder: resolverFolderOf(place),
    logFile: place.logFile,
    certificateFile: options.certificateFile,
    keyFile: options.keyFile,
    systemAccount: options.systemAccount,
    cluster: options.cluster ?? null,
  }
}

/** Of all that a running server can't be told without a restart. Tokens differ with each signature; their keys don't. */
function fingerprintSettings(options: NatsServerOptions, place: ServerFolder, version: string): string {
  const text = renderServerConfiguration({ ...fixedSettings(options, place), operatorToken: '', accounts: [] })
  return createHash('sha256').update(`${version}\n${text}`).digest('hex')
}
