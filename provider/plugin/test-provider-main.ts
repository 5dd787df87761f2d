/** Serves the test provider, as a provider's `main.ts` does. */

import { serveProvider } from './index.ts'
import { testProvider } from './test-provider.ts'

const isDebugged = process.argv.includes('--debug')
void serveProvider(testProvider, { address: 'example.test/test/test', version: '1.0.0', isDebugged }).then((status) => {
  process.exitCode = status
})
