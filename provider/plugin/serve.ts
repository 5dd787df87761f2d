/** Serves a provider to the CLI that started this process. It alone touches the process: environment, output, signals. */

import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createProviderService } from './calls/provider-service.ts'
import type { Provider } from './define.ts'
import { createCertificate } from './server/certificate.ts'
import { listen } from './server/grpc.ts'
import { createLog } from './server/log.ts'
import { coreProtocolVersion, magicCookie, pluginProtocolVersion } from './wire/go-plugin.ts'

export type ServeOptions = {
  /** `registry.example/namespace/name`, for the line that a debugged provider prints. */
  readonly address: string
  readonly version: string
  /** Waits to be attached to by `TF_REATTACH_PROVIDERS`, instead of being started by a CLI. */
  readonly isDebugged?: boolean
}

/** How long calls that run may go on once the end was asked for. */
const graceMilliseconds = 500
/** A CLI that was killed can't say goodbye. */
const parentCheckMilliseconds = 2_000

/**
 * Ends when the CLI says so, and answers with the exit status for `process.exit`; it never rejects. Not awaited at the top
 * of a file, so that it can be compiled to bytecode: that starts in half the time, and a provider is started often.
 *
 * @example `void serveProvider(provider, { address: 'registry.terraform.io/acme/acme', version: '1.0.0' }).then(process.exit)`
 */
export async function serveProvider<Client>(provider: Provider<Client>, options: ServeOptions): Promise<number> {
  const { isDebugged = false } = options
  const { env } = process
  if (!isDebugged && env[magicCookie.name] !== magicCookie.value) {
    process.stderr.write(
      `This is a provider for Terraform and OpenTofu (${options.address} ${options.version}). They start it themselves: name it in required_providers.\n`,
    )
    return 1
  }
  const log = createLog(
    provider.name,
    env,
    (line) => process.stderr.write(line),
    () => new Date(),
  )
  const folder = mkdtempSync(join(env.PLUGIN_UNIX_SOCKET_DIR || tmpdir(), 'plugin-'))
  const removeFolder = () => rmSync(folder, { recursive: true, force: true })
  process.once('exit', removeFolder)
  const end = endOf(isDebugged)
  try {
    const socketPath = join(folder, 'socket')
    const clientCertificatePem = isDebugged ? undefined : env.PLUGIN_CLIENT_CERT
    const certificate = clientCertificatePem ? createCertificate(new Date(), serial()) : undefined
    const mutualTls = clientCertificatePem && certificate ? { certificate, clientCertificatePem } : null
    const service = createProviderService(provider, log)
    const listening = await listen({ socketPath, service, mutualTls, onShutdown: end.ask })
    process.stdout.write(
      isDebugged ? attachLine(options.address, socketPath) : handshakeLine(socketPath, certificate?.der),
    )
    const reason = await end.asked
    log.debug('ending', { reason })
    await service.StopProvider({})
    await listening.close(graceMilliseconds)
    return 0
  } catch (error) {
    log.error('the provider could not be served', {
      error: error instanceof Error ? (error.stack ?? '') : String(error),
    })
    return 1
  } finally {
    end.forget()
    removeFolder()
    process.off('exit', removeFolder)
  }
}

/** Positive, and of the length that certificates may have. */
const serial = () => Uint8Array.from([1, ...randomBytes(15)])

/** `core version | plugin version | network | address | protocol | certificate`: the one line of standard output. */
function handshakeLine(socketPath: string, certificate: Uint8Array | undefined): string {
  const base64 = certificate === undefined ? '' : Buffer.from(certificate).toString('base64').replaceAll('=', '')
  return `${[coreProtocolVersion, pluginProtocolVersion, 'unix', socketPath, 'grpc', base64].join('|')}\n`
}

function attachLine(address: string, socketPath: string): string {
  const attach = {
    [address]: {
      Protocol: 'grpc',
      ProtocolVersion: pluginProtocolVersion,
      Pid: process.pid,
      Test: true,
      Addr: { Network: 'unix', String: socketPath },
    },
  }
  return `The provider waits. Attach to it with:\n\n  export TF_REATTACH_PROVIDERS='${JSON.stringify(attach)}'\n\n`
}

/** Asked for by the CLI, by a signal, or by the CLI's death. */
function endOf(isDebugged: boolean) {
  const { promise: asked, resolve } = Promise.withResolvers<string>()
  const onTerminate = () => resolve('terminated')
  // A key pressed reaches the whole group of processes, and the CLI, which ends its plugins when it is done with them.
  const onInterrupt = () => (isDebugged ? resolve('interrupted') : undefined)
  process.on('SIGTERM', onTerminate)
  process.on('SIGINT', onInterrupt)
  const parent = process.ppid
  const timer = setInterval(() => {
    if (!isDebugged && process.ppid !== parent) resolve('orphaned')
  }, parentCheckMilliseconds)
  timer.unref()
  const forget = () => {
    process.off('SIGTERM', onTerminate)
    process.off('SIGINT', onInterrupt)
    clearInterval(timer)
  }
  return { asked, forget, ask: () => resolve('asked') }
}
