/** A provider served in this process, and a client of it by the real wire. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createProviderService } from '../calls/provider-service.ts'
import type { Provider } from '../define.ts'
import { listen } from '../server/grpc.ts'
import { createLog } from '../server/log.ts'
import { connect } from './client.ts'

export async function serveForTest<Client>(provider: Provider<Client>) {
  const folder = mkdtempSync(join(tmpdir(), 'plugin-served-'))
  const socketPath = join(folder, 'socket')
  const lines: string[] = []
  const log = createLog(
    provider.name,
    { TF_LOG: 'trace' },
    (line) => lines.push(line),
    () => new Date(0),
  )
  const service = createProviderService(provider, log)
  const listening = await listen({ socketPath, service, mutualTls: null, onShutdown: () => {} })
  const client = connect(socketPath)
  const close = async () => {
    client.close()
    await listening.close(0)
    rmSync(folder, { recursive: true, force: true })
  }
  return { client, folder, logged: () => lines.map((line) => JSON.parse(line)), close }
}
