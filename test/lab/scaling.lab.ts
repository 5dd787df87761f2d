/**
 * A balancer that is scaled, under real load from the lab's client: it has more instances while the load asks for them, and
 * fewer afterwards, and no request is lost on either way. Runs in a sandbox:
 *   scripts/sandbox bun test ./test/lab/scaling.lab.ts
 */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { type Cleanup, createCleanup } from '../../bench/system/cleanup.ts'
import { createBalancer, type System, showBalancer, startSystem } from '../../bench/system/system.ts'
import { awaitWhole } from '../../bench/system/world.ts'
import { readWrk } from '../../bench/throughput.ts'
import { pageSchema } from '../../controller/contract/common.ts'
import { cloudEventSchema } from '../../controller/contract/events.ts'
import { type Scaling, scalingSchema } from '../../controller/contract/scaling.ts'
import { waitUntil } from '../../lab/wait.ts'
import type { HttpLoadResult } from './http-load.ts'
import { createOutside } from './lab-client.ts'
import { requireSandbox } from './machine-snapshot.ts'

setDefaultTimeout(120_000)

/** A calm client has a hundred requests a second, and wrk some thousands. */
const target = 400
const autoScaling = {
  minimum: 1,
  maximum: 2,
  targets: { requestsPerSecond: target },
  cooldown: { outSeconds: 2, inSeconds: 4 },
}
const crowdSeconds = 8
const noticeSeconds = 40

const cleanup: Cleanup = createCleanup((text) => process.stderr.write(`${text}\n`))
let system: System
let id: string

beforeAll(async () => {
  requireSandbox()
  // What leaves waits for as long as its name may be remembered.
  process.env.SLUICE_DNS_TTL_SECONDS = '1'
  system = await startSystem(cleanup)
  const created = await createBalancer(system, 'crowd', {
    instanceCount: 1,
    autoScaling,
    timeouts: { drainSeconds: 2 },
  })
  id = created.id
  await awaitWhole(system, id)
})

afterAll(async () => {
  delete process.env.SLUICE_DNS_TTL_SECONDS
  await cleanup.run()
})

const scaling = async (): Promise<Scaling> =>
  await system.api.call(scalingSchema, 'GET', `/v1/load-balancers/${id}/scaling`)
const onClient = (...argv: readonly string[]) => ['nsenter', '-t', String(system.clientPid), '-n', '--', ...argv]

function startCalmLoad(vip: string) {
  const argv = onClient(process.execPath, `${import.meta.dir}/http-load.ts`, 'calm', vip, '80', '1')
  const child = Bun.spawn(argv, { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' })
  cleanup.defer('a load', async () => child.kill('SIGKILL'))
  return async (): Promise<HttpLoadResult> => {
    child.kill('SIGTERM')
    const text = await new Response(child.stdout).text()
    return JSON.parse(text.trim().split('\n').at(-1) ?? '')
  }
}

async function startCrowd(vip: string) {
  const argv = onClient('wrk', '-t1', '-c8', `-d${crowdSeconds}s`, `http://${vip}/`)
  const child = Bun.spawn(argv, { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' })
  const text = await new Response(child.stdout).text()
  return readWrk(text)
}

const awaitVips = (count: number) =>
  waitUntil(async () => (await showBalancer(system, id)).vips.length === count, {
    what: () => `${count} VIPs`,
    timeoutSeconds: noticeSeconds,
    intervalMilliseconds: 50,
  })

test('a crowd makes it scale out, and in afterwards, and no request is lost', async () => {
  const [first = ''] = (await showBalancer(system, id)).vips
  const endFirst = startCalmLoad(first)
  await waitUntil(async () => ((await scaling()).load.requestsPerSecond ?? 0) > 0, {
    what: () => 'load to be heard of',
    timeoutSeconds: noticeSeconds,
    intervalMilliseconds: 100,
  })
  expect((await scaling()).desiredCount).toBe(1)
  const crowd = startCrowd(first)
  await awaitVips(2)
  const grown = await awaitWhole(system, id)
  expect(grown.instances.length).toBe(2)
  const [, second = ''] = grown.vips
  const endSecond = startCalmLoad(second)

  const explained = await createOutside(system.settings).sluice(['lb', 'explain', 'crowd'])
  expect(explained.stdout).toContain('1 → 2')
  expect(explained.stdout).toContain(`the target is ${target}`)

  expect((await crowd).failed).toBe(0)
  // Whoever asks for the name is told of the first one alone from here on; the second still serves whom it has.
  await awaitVips(1)
  const ofSecond = await endSecond()
  await waitUntil(async () => (await showBalancer(system, id)).instances.length === 1, {
    what: () => 'the second instance to be taken away',
    timeoutSeconds: noticeSeconds,
    intervalMilliseconds: 100,
  })
  const whole = await awaitWhole(system, id)
  expect([whole.status, whole.vips]).toEqual(['active', [first]])
  const ofFirst = await endFirst()
  expect([ofFirst.reasons, ofSecond.reasons]).toEqual([{}, {}])
  expect(ofSecond.requests).toBeGreaterThan(100)

  const events = await system.api.call(
    pageSchema(cloudEventSchema),
    'GET',
    `/v1/events?projectId=${system.projectId}&format=json&limit=500`,
  )
  const told = events.items
    .filter(({ subject, type }) => subject === id || type.startsWith('load-balancer.instance.'))
    .map(({ type }) => type)
  expect(told.filter((type) => type === 'load-balancer.scaled').length).toBe(2)
  expect(told).toContain('load-balancer.instance.withdrawn')
  expect(told).toContain('load-balancer.instance.drained')
  expect(told).not.toContain('load-balancer.degraded')
})
