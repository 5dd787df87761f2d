/** Opens the logs of instances for reading: makes their stream where it is missing. */

import type { NatsConnection } from '@nats-io/transport-node'
import { ensureLogStream } from './log-stream.ts'
import { createLogReader, type LogReader } from './read-logs.ts'

export interface LogsOptions {
  /** Of the account in which agents are. */
  readonly connection: NatsConnection
  readonly replicas: number
  /** Milliseconds since 1970. */
  readonly now: () => number
}

export async function openLogs({ connection, replicas, now }: LogsOptions): Promise<LogReader> {
  await ensureLogStream(connection, replicas)
  return createLogReader(connection, now)
}
