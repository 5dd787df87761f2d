/** Counts what hosts say on the bus, by a connection of its own. Reads only. */

import { readFileSync } from 'node:fs'
import { connectController } from '../../controller/nats/connections.ts'
import { openIdentity } from '../../controller/nats/identity.ts'
import { controllerAddress, controllerFolder, natsPort } from '../../lab/lab.ts'
import type { System } from './system.ts'

export interface ReportTraffic {
  readonly messagesPerSecond: number
  readonly kibibytesPerSecond: number
}

/** Reports of all hosts are entries of one bucket. */
const subjects = '$KV.status.>'

export async function countReports({ settings }: System, seconds: number): Promise<ReportTraffic> {
  const folder = `${controllerFolder(settings)}/nats`
  const address = {
    servers: [`tls://${controllerAddress}:${natsPort}`],
    caCertificate: readFileSync(`${folder}/ca.pem`, 'utf8'),
  }
  const connection = await connectController(address, await openIdentity(folder), 'hosts')
  try {
    let messages = 0
    let bytes = 0
    const subscription = connection.subscribe(subjects, {
      callback: (error, message) => {
        if (error !== null) throw error
        messages += 1
        bytes += message.data.length
      },
    })
    await connection.flush()
    await Bun.sleep(seconds * 1000)
    subscription.unsubscribe()
    return { messagesPerSecond: messages / seconds, kibibytesPerSecond: bytes / 1024 / seconds }
  } finally {
    await connection.close()
  }
}
