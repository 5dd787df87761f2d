/** `terraform-provider-sluice`: serves the provider to the CLI that starts it. The one file that exits. */

import { join } from 'node:path'
import type { Client } from './api/client.ts'
import { nameRun } from './api/creations.ts'
import { serveProvider } from './plugin/index.ts'
import { createProvider, providerAddress, providerVersion } from './provider.ts'

const parent = process.ppid
const clients: Client[] = []
const provider = createProvider({
  environment: process.env,
  fetch,
  creationsFolder: join(process.env.TF_DATA_DIR ?? '.terraform', 'sluice'),
  run: nameRun(parent),
  onClient: (client) => clients.push(client),
})
const options = { address: providerAddress, version: providerVersion, isDebugged: process.argv.includes('--debug') }
// Not awaited, so that it can be compiled to bytecode, which starts in half the time.
void serveProvider(provider, options).then((status) => {
  // An end in order is the CLI's word that its state has all that was made; one that was killed can say nothing.
  if (status === 0 && process.ppid === parent) for (const { creations } of clients) creations.settle()
  process.exit(status)
})
