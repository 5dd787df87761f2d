/**
 * An instance that is told to drain, on two hosts with real agents: it serves until its clients have gone or its time is
 * over, then its VIP is its neighbour's. Needs root, and makes everything within namespaces of its own:
 *   bun test ./test/lab/instance-drain.lab.ts
 */

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { until } from './agent-hosts.ts'
import { type BalancerLab, member, startBalancerLab, vips } from './balancer-lab.ts'

setDefaultTimeout(120_000)

const [northVip] = vips
const web = { port: 80, members: [member(11), member(12)] }
const patienceSeconds = 40
let lab: BalancerLab

const timeouts = (drainSeconds: number) => ({
  timeouts: { connectSeconds: 2, clientSeconds: 30, serverSeconds: 30, drainSeconds },
})
const untilHolder = (name: string) =>
  until(`the VIP is at ${name}`, async () => (await lab.holders(northVip)).join() === name, patienceSeconds)
const untilDrained = () => until('it has drained', () => lab.instance(lab.north)?.drained === true, patienceSeconds)
const get = (path = '/') => lab.onClient('curl', '-s', '-i', '--max-time', '5', `http://${northVip}${path}`)

/** A request whose header comes in two parts, so that it is under way for that long. */
const getSlowly = (seconds: number) =>
  lab.onClient(
    'bash',
    '-c',
    `exec 3<>/dev/tcp/${northVip}/80; printf 'GET / HTTP/1.1\\r\\nHost: x\\r\\n' >&3; sleep ${seconds}; printf '\\r\\n' >&3; timeout 5 cat <&3`,
  )

beforeAll(async () => {
  lab = await startBalancerLab()
  lab.instruct([web], timeouts(20))
  await lab.converged()
  await until('it answers', async () => (await get().catch(() => '')).includes('200 OK'), patienceSeconds)
  await untilHolder('north')
})
afterEach(async () => {
  lab.instruct([web], timeouts(20))
  await lab.converged()
  await untilHolder('north')
})
afterAll(async () => {
  await lab?.stop()
})

test('it ends what is under way, closes connections after their answers, and hands its VIP over then', async () => {
  const slow = getSlowly(4)
  await Bun.sleep(500)
  lab.instruct([web], timeouts(20), { draining: true })
  await until(
    'new answers close their connections',
    async () => /connection: close/i.test(await get()),
    patienceSeconds,
  )
  expect(await lab.holders(northVip)).toEqual(['north'])
  expect(lab.instance(lab.north)?.drained).toBeUndefined()
  expect(await slow).toContain('200 OK')
  await untilDrained()
  await untilHolder('south')
  expect(await get()).toContain('200 OK')
})

test('under load no request is cut before its time is over, and the neighbour goes on after it', async () => {
  const load = lab.load('steady', northVip)
  await load.answered
  lab.instruct([web], timeouts(8), { draining: true })
  await until('the first answers close', async () => /connection: close/i.test(await get()), patienceSeconds)
  await Bun.sleep(2000)
  const result = await load.end()
  expect(result.reasons).toEqual({})
  expect(result.requests).toBeGreaterThan(500)
  const later = lab.load('probe', northVip)
  await later.answered
  await untilDrained()
  await untilHolder('south')
  const { longestGapMilliseconds } = await later.end()
  expect(longestGapMilliseconds).toBeLessThan(5000)
})
