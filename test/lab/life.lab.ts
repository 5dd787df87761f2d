/**
 * The life of an instance on real hosts: whose plug is pulled, whose uplink is cut, whose agent is dead. Runs in a sandbox:
 *   scripts/sandbox bun test ./test/lab/life.lab.ts
 */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { measureOutage } from '../../bench/prober/outage.ts'
import { type Prober, startProber } from '../../bench/prober/start-prober.ts'
import { type Cleanup, createCleanup } from '../../bench/system/cleanup.ts'
import { findDaemonProcesses, killAtOnce } from '../../bench/system/processes.ts'
import { createBalancer, deleteBalancer, type System, showBalancer, startSystem } from '../../bench/system/system.ts'
import { awaitWhole, listHeldVips } from '../../bench/system/world.ts'
import type { LoadBalancer } from '../../controller/contract/load-balancer.ts'
import { cutHost, healHost, killHostAgent, openLab, startHostAgent } from '../../lab/lab.ts'
import { waitUntil } from '../../lab/wait.ts'
import { createOutside, finish, repository } from './lab-client.ts'
import { requireSandbox } from './machine-snapshot.ts'

setDefaultTimeout(120_000)

/** Longer than a host takes to boot, and short enough to wait for its end. */
const graceSeconds = 15
/** How long is a rule of its own, tried elsewhere; silence takes five seconds in any case. */
const suspectAfterSeconds = 2
const pace = { periodMilliseconds: 5, timeoutMilliseconds: 100 }
/** The aim is ten seconds; a machine that is busy with other things may take a little longer. */
const replacedSecondsMaximum = 15
const waitSeconds = 60
/** Generous: how long exactly is measured by bench/life.ts on a machine that does nothing else. */
const gapMillisecondsMaximum = 1500

const cleanup: Cleanup = createCleanup((text) => process.stderr.write(`${text}\n`))
let system: System
let balancerId: string
let prober: Prober

beforeAll(async () => {
  requireSandbox()
  process.env.SLUICE_GRACE_SECONDS = String(graceSeconds)
  process.env.SLUICE_SUSPECT_AFTER_SECONDS = String(suspectAfterSeconds)
  system = await startSystem(cleanup)
  balancerId = (await createBalancer(system, 'life', { timeouts: { drainSeconds: 2 } })).id
  prober = await startProber(system.clientPid)
  cleanup.defer('the prober', () => prober.stop())
})
afterAll(() => cleanup.run())

const lab = () => openLab(system.settings)
const show = () => showBalancer(system, balancerId)
const statusesOf = ({ instances }: LoadBalancer) =>
  instances.map(({ slot, host, status }) => `${slot} on ${host}: ${status}`)

/** Where the balancer has its first instance, its second one, and none. */
async function findPlaces() {
  const whole = await awaitWhole(system, balancerId)
  const first = whole.instances.find(({ slot }) => slot === 1)
  const vip = whole.vips[0]
  const used = whole.instances.map(({ host }) => host)
  const spare = lab().state.hosts.find(({ name }) => !used.includes(name))?.name
  if (first?.host == null || vip === undefined || spare === undefined)
    throw new Error('BUG: a whole balancer without a place')
  return { first, vip, host: first.host, spare }
}

async function waitFor(
  what: string,
  isSo: (balancer: LoadBalancer) => boolean | Promise<boolean>,
): Promise<LoadBalancer> {
  let shown = await show()
  await waitUntil(
    async () => {
      shown = await show()
      return isSo(shown)
    },
    {
      what: () => `${what}; it is ${JSON.stringify(shown.instances, null, 1)}`,
      timeoutSeconds: waitSeconds,
      intervalMilliseconds: 50,
    },
  )
  return shown
}

/** A new instance on that host is active, and has the VIP in its kernel. */
async function waitForReplacement(host: string, vip: string): Promise<number> {
  const begunAt = performance.now()
  await waitFor(`an instance on ${host} with ${vip}`, async ({ instances }) => {
    const replacement = instances.find((one) => one.host === host && one.status === 'active')
    return replacement !== undefined && (await listHeldVips(system, host, replacement.id, [vip])).length === 1
  })
  return (performance.now() - begunAt) / 1000
}

const target = (address: string) => ({ address, port: 80 })

describe('a host whose plug is pulled', () => {
  test('is replaced on the third one, with the VIP of the slot; back in time it has its slot again', async () => {
    const { first, vip, spare } = await findPlaces()
    const losing = finish(
      ['examples/life/lose-host.sh', 'life'],
      repository,
      createOutside(system.settings).environment(),
    )
    const seconds = await waitForReplacement(spare, vip)
    expect(seconds).toBeLessThan(replacedSecondsMaximum)
    await prober.awaitFirst([target(vip)], pace, waitSeconds)
    const { exitCode, stdout, stderr } = await losing
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    const told = stdout.split('\n').flatMap((line) => /load-balancer\.instance\.(\w+)/.exec(line)?.[1] ?? [])
    for (const participle of ['suspected', 'replaced', 'placed', 'reinstated', 'retired']) {
      expect(told).toContain(participle)
    }
    const whole = await awaitWhole(system, balancerId)
    expect(whole.instances.map(({ id }) => id)).toContain(first.id)
    expect(whole.instances).toHaveLength(2)
  })
})

/** Its VIP answers nobody: keepalived has not been told, and the kernel is there for all to see. */
test('an instance whose haproxy and agent are dead is missed by two, and forgotten when it is not back in time', async () => {
  const { first, vip, host, spare } = await findPlaces()
  // Who has no instance of its own can't ask for a haproxy.
  const { id: otherId } = await createBalancer(system, 'other', { instanceCount: 1 })
  const other = await awaitWhole(system, otherId)
  expect(other.instances.map((one) => one.host)).toEqual([spare])
  await killHostAgent(lab(), host, { forGood: true })
  killAtOnce(findDaemonProcesses(first.id, 'haproxy'))
  await waitForReplacement(spare, vip)
  await prober.awaitFirst([target(vip)], pace, waitSeconds)
  await waitFor(
    'the lost one to go',
    ({ instances }) => instances.find(({ id }) => id === first.id)?.status === 'deleting',
  )
  await startHostAgent(lab(), host)
  const whole = await awaitWhole(system, balancerId)
  expect(whole.instances.map(({ id }) => id)).not.toContain(first.id)
  expect(whole.instances).toHaveLength(2)
  await deleteBalancer(system, otherId)
})

test('an uplink that is cut is seen by the others, though its agent is heard', async () => {
  const { first, vip, host, spare } = await findPlaces()
  await cutHost(lab(), host, ['uplink'])
  await waitForReplacement(spare, vip)
  const cut = await show()
  expect(cut.instances.find(({ id }) => id === first.id)?.status).toBe('replaced')
  await healHost(lab(), host, ['uplink'])
  const whole = await awaitWhole(system, balancerId)
  expect(whole.instances.map(({ id }) => id)).toContain(first.id)
})

test('a host in maintenance is left, and its VIP is away for no longer than when it fails', async () => {
  const { first, vip, host, spare } = await findPlaces()
  const outside = createOutside(system.settings)
  await prober.watch(target(vip), pace)
  await outside.sluice(['host', 'update', host, '--maintenance', 'true'])
  await waitForReplacement(spare, vip)
  await waitFor('the old one to be gone', ({ instances }) => !instances.some(({ id }) => id === first.id))
  const { gapMilliseconds } = measureOutage(await prober.endWatch())
  expect(gapMilliseconds).toBeLessThan(gapMillisecondsMaximum)
  await outside.sluice(['host', 'update', host, '--maintenance', 'false'])
  await awaitWhole(system, balancerId)
})

test('a blind host condemns nobody, and a dead agent alone costs nobody his slot', async () => {
  const { first, host, spare } = await findPlaces()
  await cutHost(lab(), spare, ['uplink'])
  await killHostAgent(lab(), host, { forGood: true })
  const suspected = await waitFor('it to be suspected', ({ instances }) =>
    instances.some(
      ({ id, conditions }) =>
        id === first.id && conditions.some(({ type, status }) => type === 'reachable' && status === 'true'),
    ),
  )
  // Beyond the time after which it would be replaced.
  await Bun.sleep(2000 * suspectAfterSeconds)
  expect(statusesOf(await show())).toEqual(statusesOf(suspected))
  await startHostAgent(lab(), host)
  await healHost(lab(), spare, ['uplink'])
  const whole = await awaitWhole(system, balancerId)
  expect(whole.instances.map(({ id }) => id)).toContain(first.id)
})
