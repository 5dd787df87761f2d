/** The real CLI, attached to a provider that a test serves itself. */

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createProviderService } from '../calls/provider-service.ts'
import type { Provider } from '../define.ts'
import { listen } from '../server/grpc.ts'
import { createLog } from '../server/log.ts'
import { pluginProtocolVersion } from '../wire/go-plugin.ts'

/** What is on the PATH; each test runs with each of them. */
export const commandLines = ['terraform', 'tofu'].filter((name) => Bun.which(name) !== null)

const runMilliseconds = 120_000

export type Finished = { readonly status: number; readonly output: string }

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
  writeFileSync(
    join(folder, 'providers.tf'),
    `terraform {\n  required_providers {\n    ${provider.name} = { source = "${source}" }\n  }\n}\n`,
  )
  return {
    write: (name: string, text: string) => writeFileSync(join(folder, name), text),
    run: async (...args: readonly string[]): Promise<Finished> => {
      const child = Bun.spawn([program, ...args], {
        cwd: folder,
        env: { ...process.env, ...environment },
        stdout: 'pipe',
        stderr: 'pipe',
        timeout: runMilliseconds,
      })
      const [out, error, status] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
        child.exited,
      ])
      return { status, output: out + error }
    },
    close: async () => {
      await listening.close(0)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
