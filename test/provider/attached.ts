/** A CLI in a folder of its own, attached to a provider in this process that asks a controller in memory. */

import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { attach } from '../../provider/plugin/testing/command-line.ts'
import { createProvider } from '../../provider/provider.ts'
import type { ServedWorld } from './served-world.ts'

/** Its folder is within `folder`, and removed when it is closed. */
export async function openAttached(program: string, { url, admin, context: { now } }: ServedWorld, folder: string) {
  const environment = { SLUICE_ADDR: url, SLUICE_TOKEN: admin }
  const provider = createProvider({ environment, fetch, creationsFolder: null, run: '', now })
  const cli = await attach(program, provider, mkdtempSync(join(folder, `${program}-`)))
  return {
    ...cli,
    provider,
    configure: (text: string) => cli.write('main.tf', text),
    /** Rejects with what was said where it does not end well. */
    async succeed(command: string, ...argv: readonly string[]): Promise<string> {
      const { status, output } = await cli.run(command, '-no-color', ...argv)
      if (status !== 0) throw new Error(`${program} ${command} ended with ${status}:\n${output}`)
      return output
    },
    /** What was said, on one line. */
    async fail(command: string): Promise<string> {
      const { status, output } = await cli.run(command, '-no-color', '-input=false')
      if (status === 0) throw new Error(`${program} ${command} ended well:\n${output}`)
      return output.replaceAll(/[\s│╷╵]+/g, ' ')
    },
  }
}
