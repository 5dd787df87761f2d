/**
 * Drives every operation that the directory names, for as long as it runs: also those that others have begun and left.
 * Several controllers may do so at once; a lease that keeps it to one spares them the work.
 */

import type { Logger } from 'pino'
import { sleep } from '../connection-watch.ts'
import type { WatchedDirectory } from '../directory/watched-directory.ts'
import { type DriveOptions, driveOperation } from './drive-operation.ts'

export interface OperationsLoopOptions extends Omit<DriveOptions, 'directory' | 'sleep'> {
  readonly directory: Pick<WatchedDirectory, 'current' | 'subscribe' | 'refresh' | 'change'>
  readonly logger: Pick<Logger, 'warn'>
}

const retryMilliseconds = 500

/** Ends, with all operations left as they are, when the signal aborts. */
export async function driveOperations(options: OperationsLoopOptions): Promise<void> {
  const { directory, signal, logger } = options
  const driven = new Map<string, Promise<void>>()

  async function drive(operationId: string): Promise<void> {
    while (!signal.aborted) {
      try {
        await driveOperation({ ...options, sleep: (milliseconds) => sleep(milliseconds, signal) }, operationId)
        return
      } catch (trouble) {
        if (signal.aborted) return
        logger.warn({ err: trouble, operation: operationId }, 'an operation on microshards waits')
        await sleep(retryMilliseconds, signal)
      }
    }
  }

  function follow(): void {
    for (const { id } of directory.current().operations) {
      if (driven.has(id)) continue
      driven.set(
        id,
        drive(id).finally(() => driven.delete(id)),
      )
    }
  }

  const forget = directory.subscribe(follow)
  follow()
  const over = Promise.withResolvers<void>()
  if (signal.aborted) over.resolve()
  signal.addEventListener('abort', () => over.resolve(), { once: true })
  await over.promise
  forget()
  await Promise.all(driven.values())
}
