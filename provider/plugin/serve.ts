/** Serves a provider to the CLI that started this process. It alone touches the process: environment, output, signals. */

import type { Provider } from './define.ts'

export type ServeOptions = {
  /** `registry.example/namespace/name`, for the line that a debugged provider prints. */
  readonly address: string
  readonly version: string
  /** Waits to be attached to by `TF_REATTACH_PROVIDERS`, instead of being started by a CLI. */
  readonly isDebugged?: boolean
}

/**
 * Ends when the CLI says so, and answers with the exit status for `process.exit`.
 *
 * @example `process.exit(await serveProvider(provider, { address: 'registry.terraform.io/acme/acme', version: '1.0.0' }))`
 */
export async function serveProvider<Client>(provider: Provider<Client>, options: ServeOptions): Promise<number> {
  throw new Error(`BUG: ${provider.name} of ${options.address} can't be served yet`)
}
