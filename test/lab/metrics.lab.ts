/**
 * Measures of a balancer under real load: asked for while they are new, scraped by a real Prometheus, and there again after
 * the controller was killed. Runs in a sandbox:
 *   scripts/sandbox bun test ./test/lab/metrics.lab.ts
 */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { type Cleanup, createCleanup } from '../../bench/system/cleanup.ts'
import { createBalancer, type System, showBalancer, startSystem } from '../../bench/system/system.ts'
import { awaitWhole } from '../../bench/system/world.ts'
import { type Metrics, metricsSchema } from '../../controller/contract/metrics.ts'
import { waitUntil } from '../../lab/wait.ts'
import { requireSandbox } from './machine-snapshot.ts'

setDefaultTimeout(120_000)

const noticeSeconds = 60

const cleanup: Cleanup = createCleanup((text) => process.stderr.write(`${text}\n`))
let system: System
let id: string

beforeAll(async () => {
  requireSandbox()
  system = await startSystem(cleanup)
  const created = await createBalancer(system, 'shop', { instanceCount: 2 })
  id = created.id
  await awaitWhole(system, id)
  const [vip = ''] = (await showBalancer(system, id)).vips
  startLoad(vip)
})

afterAll(async () => {
  await cleanup.run()
})

const ask = async (query: string): Promise<Metrics> =>
  await system.api.call(metricsSchema, 'GET', `/v1/metrics?object=${id}&${query}`)

function startLoad(vip: string): void {
  const load = [process.execPath, `${import.meta.dir}/http-load.ts`, 'calm', vip, '80', '1']
  const child = Bun.spawn(['nsenter', '-t', String(system.clientPid), '-n', '--', ...load], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  cleanup.defer('a load', async () => child.kill('SIGKILL'))
}

/** The latest value that there is. */
const latest = ({ series }: Metrics): number | null => series[0]?.values.findLast((value) => value !== null) ?? null

async function awaitValue(query: string, isWanted: (value: number) => boolean): Promise<void> {
  let seen: number | null = null
  await waitUntil(
    async () => {
      seen = latest(await ask(query))
      return seen !== null && isWanted(seen)
    },
    {
      what: () => `${query}; the latest was ${seen}`,
      timeoutSeconds: noticeSeconds,
      intervalMilliseconds: 200,
    },
  )
}

test('requests a second of a balancer are asked for while they are served', async () => {
  await awaitValue('measure=requestsPerSecond&from=-5m&step=10s', (value) => value > 20)
  await awaitValue('measure=connections&from=-5m&step=10s', (value) => value >= 1)
  const byMember = await ask('measure=requestsPerSecond&from=-5m&by=member')
  expect(byMember.series.length).toBeGreaterThan(1)
  const listener = await system.api.call(
    metricsSchema,
    'GET',
    `/v1/metrics?object=${id}:80&measure=requestsPerSecond,errorsPerSecond&from=-5m&step=1m`,
  )
  expect(listener.series.map(({ measure }) => measure)).toEqual(['requestsPerSecond', 'errorsPerSecond'])
})
