/**
 * A controller's way of packets without its bus, as a process of its own: received, verified, parsed, admitted, and packed
 * into the messages that would be stored.
 */

import { createAdmission } from '../../agent/contract/collectd/admit-points.ts'
import { createIntake } from '../../agent/contract/collectd/intake.ts'
import { knownTypes } from '../../agent/contract/collectd/types-db.ts'
import { createPointSender } from '../../agent/contract/point-sender.ts'
import { batchPointsMaximum, type Point } from '../../agent/contract/points.ts'
import { credentials, host, receiverPort } from './ingest.ts'

const flushMilliseconds = 1000

let gathered: Point[] = []
const sender = createPointSender({
  idPrefix: 'bench',
  send: () => Promise.resolve(),
  now: () => performance.now(),
  log: () => undefined,
})
const pack = () => {
  sender.add({ kind: 'host', host }, gathered)
  gathered = []
}
const intake = createIntake({
  admission: createAdmission({
    types: knownTypes([]),
    seriesMaximum: 100_000,
    unixSeconds: () => Date.now() / 1000,
  }),
  passwordOf: (user) => (user === credentials.user ? credentials.password : undefined),
  least: 'none',
  senderOf: () => ({ key: host, maySpeakFor: (name) => name === host }),
  onPoints: (points) => {
    for (const point of points) gathered.push(point)
    if (gathered.length >= batchPointsMaximum) pack()
  },
})
await Bun.udpSocket({
  hostname: '127.0.0.1',
  port: receiverPort,
  socket: { data: (_, packet) => intake.takePacket(packet) },
})
setInterval(() => {
  pack()
  void sender.flush()
  const { drops } = intake.counts()
  if (Object.keys(drops).length > 0) process.stderr.write(`refused: ${JSON.stringify(drops)}\n`)
}, flushMilliseconds)
