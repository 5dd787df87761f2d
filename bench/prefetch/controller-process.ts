/** A controller as a process of its own, on a nats-server of its own, in a folder that goes with it. Spawns it and ends it. */

import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findFreePort } from '../../controller/control-plane/test-nats-server.ts'
import { waitUntil } from '../../lab/wait.ts'
import { measureUsage } from '../system/processes.ts'

export interface ControllerProcess {
  readonly url: string
  readonly token: string
  cpuSeconds(): number
  residentMebibytes(): number
  stop(): Promise<void>
}

const startSecondsMaximum = 60

export async function startControllerProcess(
  environment: Readonly<Record<string, string>>,
): Promise<ControllerProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-prefetch-'))
  const url = `http://127.0.0.1:${await findFreePort()}`
  const child = Bun.spawn([process.execPath, new URL('../../controller/main.ts', import.meta.url).pathname], {
    env: {
      ...process.env,
      SLUICE_UPLINK_CIDR: '198.18.32.0/20',
      SLUICE_UPLINK_GATEWAY: '198.18.32.1',
      SLUICE_STATE_FOLDER: folder,
      SLUICE_LISTEN: url.slice('http://'.length),
      SLUICE_NATS_LISTEN: `127.0.0.1:${await findFreePort()}`,
      SLUICE_LOG_LEVEL: 'error',
      ...environment,
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const stop = async () => {
    child.kill('SIGTERM')
    await child.exited
    await rm(folder, { recursive: true, force: true })
  }
  const isReady = async () => {
    const answered = await fetch(`${url}/readyz`).catch(() => null)
    return answered?.ok === true
  }
  try {
    const what = () => 'the controller to be ready'
    await waitUntil(isReady, { what, timeoutSeconds: startSecondsMaximum, intervalMilliseconds: 100 })
    const token = (await readFile(join(folder, 'admin-token'), 'utf8')).trim()
    const usage = () => measureUsage([child.pid])
    return {
      url,
      token,
      stop,
      cpuSeconds: () => usage().cpuSeconds,
      residentMebibytes: () => usage().residentMebibytes,
    }
  } catch (cause) {
    await stop()
    throw cause
  }
}
