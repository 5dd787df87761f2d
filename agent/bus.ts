/**
 * The agent's line to the controller over NATS: its own instructions in, its own report and points out, within the few
 * subjects that an agent may use. It tries for ever; whether anybody is there changes nothing for the host.
 */

import { jetstream } from '@nats-io/jetstream'
import { Kvm } from '@nats-io/kv'
import { type ConnectionOptions, connect, jwtAuthenticator, type NatsConnection } from '@nats-io/transport-node'
import type { BusCredentials } from './configuration.ts'
import type { HostReport } from './contract/host-report.ts'
import type { PointMessage } from './contract/point-sender.ts'
import { desiredBucket, inboxPrefix, instructionsKey, reportKey, statusBucket } from './contract/subjects.ts'
import type { PublishLogs } from './logs/log-buffer.ts'

export interface BusOptions {
  readonly host: string
  readonly servers: readonly string[]
  readonly credentials: BusCredentials | undefined
  /** Called with the text of each statement, the last one first after each connection. */
  readonly onInstructions: (text: string) => void
  readonly log: (fields: Record<string, unknown>, message: string) => void
}

export interface Bus {
  /** Sends it if anybody is there. A report that finds nobody is dropped: the next one says the same, and newer. */
  sendReport(report: HostReport): void
  readonly publishLogs: PublishLogs
  /** Resolves when the stream of points has stored it; rejects where nobody is there, or nobody says so in time. */
  sendPoints(message: PointMessage): Promise<void>
  close(): Promise<void>
}

const pingIntervalMilliseconds = 2000
const reconnectMilliseconds = 500
/** The stream is on a disk that may be busy; what isn't answered is sent again. */
const storedMilliseconds = 5000
/** The same trouble is told no oftener. */
const troubleMilliseconds = 60_000

export function startBus(options: BusOptions): Bus {
  let connection: NatsConnection | undefined
  let isConnected = false
  let isClosed = false
  let troubleToldAt = Number.NEGATIVE_INFINITY
  const tellTrouble = (error: unknown) => {
    if (performance.now() - troubleToldAt < troubleMilliseconds) return
    troubleToldAt = performance.now()
    options.log({ error: String(error) }, 'what instances say is not taken by the bus; it is kept and tried again')
  }

  const serve = async () => {
    while (!isClosed) {
      try {
        connection = await connect(connectionOptions(options))
        isConnected = true
        options.log({ server: connection.getServer() }, 'connected to NATS')
        const watching = keepWatching(connection, options)
        for await (const status of connection.status()) {
          if (status.type === 'disconnect') isConnected = false
          if (status.type === 'reconnect') {
            isConnected = true
            watching.again()
          }
        }
        watching.stop()
      } catch (error) {
        options.log({ error: String(error) }, 'no connection to NATS; trying again')
      }
      isConnected = false
      if (!isClosed) await Bun.sleep(reconnectMilliseconds)
    }
  }
  void serve()

  /** Resolves when the subject's stream has it. */
  const store = async (subject: string, payload: string | Uint8Array, id: string) => {
    if (!isConnected || connection === undefined) throw new Error('there is no connection to NATS')
    const stream = jetstream(connection, { checkAPI: false })
    await stream.publish(subject, payload, { msgID: id, timeout: storedMilliseconds, retries: 0 })
  }

  return {
    sendReport(report) {
      if (!isConnected) return
      try {
        connection?.publish(`$KV.${statusBucket}.${reportKey(options.host)}`, JSON.stringify(report))
      } catch (error) {
        options.log({ error: String(error) }, 'the report could not be sent')
      }
    },
    async publishLogs(subject, payload, id) {
      if (!isConnected) return false
      try {
        await store(subject, payload, id)
        return true
      } catch (error) {
        tellTrouble(error)
        return false
      }
    },
    sendPoints: ({ id, subject, payload }) => store(subject, payload, id),
    async close() {
      isClosed = true
      await connection?.close()
    },
  }
}

function connectionOptions({ host, servers, credentials }: BusOptions): ConnectionOptions {
  return {
    servers: [...servers],
    name: `sluice-agent ${host}`,
    inboxPrefix: inboxPrefix(host),
    maxReconnectAttempts: -1,
    reconnectTimeWait: reconnectMilliseconds,
    waitOnFirstConnect: true,
    pingInterval: pingIntervalMilliseconds,
    ...(credentials && {
      authenticator: jwtAuthenticator(credentials.userJwt, new TextEncoder().encode(credentials.seed)),
    }),
    ...(credentials?.caCertificate !== undefined && { tls: { ca: credentials.caCertificate } }),
  }
}

/**
 * Watches the host's own key. The watch is made anew after each reconnect rather than resumed: the server may be another
 * one with another history, and the last statement is all that counts.
 */
function keepWatching(connection: NatsConnection, options: BusOptions): { again(): void; stop(): void } {
  let current: { stop(): void } | undefined
  let isStopped = false

  const watchOnce = async () => {
    // The manager's own check asks for rights that an agent doesn't have.
    const bucket = await new Kvm(jetstream(connection, { checkAPI: false })).open(desiredBucket)
    const watch = await bucket.watch({ key: instructionsKey(options.host), ignoreDeletes: true })
    current = watch
    for await (const entry of watch) options.onInstructions(entry.string())
  }
  const watch = async () => {
    while (!isStopped && !connection.isClosed()) {
      await watchOnce().catch((error: unknown) => {
        options.log({ error: String(error) }, 'the instructions can not be watched; trying again')
      })
      if (!isStopped) await Bun.sleep(reconnectMilliseconds)
    }
  }
  void watch()
  return {
    again: () => current?.stop(),
    stop() {
      isStopped = true
      current?.stop()
    },
  }
}
