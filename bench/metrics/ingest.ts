/** How many points a second one core takes in: unpacked, admitted and put into the head. */

import { encodePoints, pointIntervalSeconds, pointSubject } from '../../agent/contract/points.ts'
import { createHead } from '../../controller/observed/metrics/head.ts'
import { createMetricsKeeper } from '../../controller/observed/metrics/keep-metrics.ts'
import { createSeriesLimit } from '../../controller/observed/metrics/series-limit.ts'
import { createTestBlocks } from '../../controller/observed/metrics/test-blocks.ts'
import { createFleet } from './points.ts'

const fleet = { balancers: 60, members: 10, hosts: ['a'] }
const ticks = 60

export async function measureIngest(): Promise<{ readonly pointsPerSecond: number }> {
  const [host] = createFleet(fleet)
  if (host === undefined) throw new Error('BUG: a fleet has a host')
  const begun = Math.floor(Date.now() / 1000) - ticks * pointIntervalSeconds
  let points = 0
  const messages = Array.from({ length: ticks }, (_, tick) => {
    const said = host.say(tick, begun + tick * pointIntervalSeconds)
    points += said.length
    return encodePoints(said)
  })
  const head = createHead(createSeriesLimit())
  const logger = { warn: () => undefined }
  const keeper = await createMetricsKeeper({ blocks: createTestBlocks(), head, now: Date.now, logger })
  const subject = pointSubject({ kind: 'host', host: 'a' })
  const before = performance.now()
  for (const data of messages) keeper.take({ subject, data, storedAt: Date.now() })
  const seconds = (performance.now() - before) / 1000
  if (head.counts().doubled > 0 || head.latest.size === 0) throw new Error('BUG: points are new, and kept')
  return { pointsPerSecond: points / seconds }
}
