/**
 * Brings one microshard after the other to the newest weights of keys, as the directory names them, for as long as it
 * runs. It begins operations, which are driven elsewhere; where it was cut off, the next goes on.
 */

import type { Logger } from 'pino'
import { sleep } from '../connection-watch.ts'
import type { WatchedDirectory } from '../directory/watched-directory.ts'
import { whenAborted } from '../leases/lease.ts'
import { listUnsharded } from './plan-reshard.ts'

export interface WeightsOptions {
  readonly directory: Pick<WatchedDirectory, 'current' | 'reachNewer'>
  readonly begin: (seed: string) => Promise<unknown>
  readonly logger: Pick<Logger, 'warn'>
}

const turnMilliseconds = 1_000
const retryMilliseconds = 500

/** Resolves when the signal has aborted and the turn under way is over. */
export async function keepWeights({ directory, begin, logger }: WeightsOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const current = directory.current()
    const [next] = listUnsharded(current)
    const isUnderWay = current.operations.some(({ kind }) => kind === 'reshard')
    if (next !== undefined && !isUnderWay) {
      try {
        // One that was given up is begun again under another name.
        await begin(`${next.id} ${current.version}`)
      } catch (cause) {
        logger.warn({ err: cause }, 'the re-shard waits')
        await sleep(retryMilliseconds, signal)
      }
    }
    await Promise.race([directory.reachNewer(current.version, turnMilliseconds), whenAborted(signal)])
  }
}
