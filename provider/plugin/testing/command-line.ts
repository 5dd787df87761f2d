/** The real CLI, attached to a provider that a test serves itself. */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createProviderService } from '../calls/provider-service.ts'
import type { Provider } from '../define.ts'
import { listen } from '../server/grpc.ts'
import { createLog } from '../server/log.ts'
import { pluginProtocolVersion } from '../wire/go-plugin.ts'
import { testProviderMain } from './spawned.ts'

/** What is on the PATH; each test runs with each of them. */
export const commandLines = ['terraform', 'tofu'].filter((name) => Bun.which(name) !== null)

const runMilliseconds = 120_000
const watchMilliseconds = 5

export type Finished = { readonly status: number; readonly output: string }

/** Started by the CLI itself, by its handshake and over mutual TLS, as users have it. */
export function installed(program: string, folder: string) {
  const notes = join(folder, 'notes')
  mkdirSync(notes, { recursive: true })
  const executable = join(folder, 'terraform-provider-test')
  writeFileSync(executable, `#!/bin/sh\nexec '${process.execPath}' '${testProviderMain}' "$@"\n`, { mode: 0o755 })
  const source = 'example.test/test/test'
  const overrides = `provider_installation {\n  dev_overrides {\n    "${source}" = "${folder}"\n  }\n  direct {}\n}\n`
  writeFileSync(join(folder, 'cli.rc'), overrides)
  writeFileSync(
    join(folder, 'providers.tf'),
    `${requiring('test', source)}provider "test" {\n  folder = "${notes}"\n}\n`,
  )
  const environment = { TF_CLI_CONFIG_FILE: join(folder, 'cli.rc'), CHECKPOINT_DISABLE: '1' }
  return commandLine(program, folder, environment)
}

const requiring = (name: string, source: string) =>
  `terraform {\n  required_providers {\n    ${name} = { source = "${source}" }\n  }\n}\n`

type RunOptions = {
  readonly environment?: Readonly<Record<string, string>>
  /** Interrupted, as by Ctrl-C, as soon as this is so of what was written. */
  readonly interruptWhen?: (written: string) => boolean
}

function commandLine(program: string, folder: string, environment: Readonly<Record<string, string>>) {
  const start = async (args: readonly string[], { environment: more = {}, interruptWhen }: RunOptions = {}) => {
    const child = Bun.spawn([program, ...args], {
      cwd: folder,
      env: { ...process.env, ...environment, ...more },
      stdout: 'pipe',
      stderr: 'pipe',
      timeout: runMilliseconds,
    })
    let written = ''
    const read = async (stream: ReadableStream<Uint8Array>) => {
      for await (const chunk of stream) written += Buffer.from(chunk).toString()
    }
    const watching = setInterval(() => {
      if (interruptWhen?.(written) !== true) return
      clearInterval(watching)
      child.kill('SIGINT')
    }, watchMilliseconds)
    const [status] = await Promise.all([child.exited, read(child.stdout), read(child.stderr)])
    clearInterval(watching)
    return { status, output: written }
  }
  return {
    write: (name: string, text: string) => writeFileSync(join(folder, name), text),
    readState: () => readFileSync(join(folder, 'terraform.tfstate'), 'utf8'),
    run: (...args: readonly string[]): Promise<Finished> => start(args),
    runWith: (options: RunOptions, ...args: readonly string[]): Promise<Finished> => start(args, options),
  }
}

/** The provider's objects outlast the CLI's runs, since it is this process that serves it. */
export async function attach<Client>(program: string, provider: Provider<Client>, folder: string) {
  mkdirSync(folder, { recursive: true })
  const socketPath = join(folder, 'socket')
  const log = createLog(
    provider.name,
    { TF_LOG: 'off' },
    () => {},
    () => new Date(0),
  )
  const service = createProviderService(provider, log)
  const listening = await listen({ socketPath, service, mutualTls: null, onShutdown: () => {} })
  const source = `example.test/test/${provider.name}`
  const environment = {
    TF_REATTACH_PROVIDERS: JSON.stringify({
      [source]: {
        Protocol: 'grpc',
        ProtocolVersion: pluginProtocolVersion,
        Pid: process.pid,
        Test: true,
        Addr: { Network: 'unix', String: socketPath },
      },
    }),
    TF_CLI_CONFIG_FILE: '/dev/null',
    CHECKPOINT_DISABLE: '1',
  }
  writeFileSync(join(folder, 'providers.tf'), requiring(provider.name, source))
  return {
    ...commandLine(program, folder, environment),
    close: async () => {
      await listening.close(0)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
