/**
 * Brings hosts' reports from the bus into memory. It listens to the bucket's subjects themselves and not through a
 * consumer: a report is said again within a second, so none needs to be replayed, and a subscription outlives whatever
 * becomes of the server. Touches that subscription alone.
 */

import type { NatsConnection } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import { reportKey, statusBucket } from '../../agent/contract/subjects.ts'
import { watchConnection } from '../control-plane/connection-watch.ts'
import type { ReportInbox } from './observed-hosts.ts'

export const reportSubject = (host: string) => `$KV.${statusBucket}.${reportKey(host)}`

/** Listens until the returned function is called. */
export function watchReports(options: {
  readonly connection: NatsConnection
  readonly inbox: ReportInbox
  readonly logger: Pick<Logger, 'warn'>
}): () => void {
  const { connection, inbox, logger } = options
  const watch = watchConnection(connection)
  const [before = '', after = ''] = reportSubject('*').split('*')
  inbox.setListening(watch.isConnected())
  const forget = watch.onChange((isConnected) => inbox.setListening(isConnected))
  const subscription = connection.subscribe(reportSubject('*'), {
    callback: (error, message) => {
      if (error) {
        logger.warn({ err: error }, 'reports can not be heard')
        return
      }
      // An empty message is a key deleted, as when a host is taken away.
      if (message.data.length === 0) return
      const host = message.subject.slice(before.length, message.subject.length - after.length)
      const fault = inbox.accept(host, message.data)
      if (fault !== null) logger.warn({ host, fault }, 'a malformed report is dropped')
    },
  })
  return () => {
    forget()
    subscription.unsubscribe()
  }
}
