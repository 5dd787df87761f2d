/**
 * A balancer of two instances on two hosts, run by the agents alone: traffic while members and listeners change, and what
 * becomes of the VIPs when something dies, hangs or stands still. Needs root, and makes everything within namespaces of
 * its own:
 *   bun test ./test/lab/agent-load-balancer.lab.ts
 */

import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { InstanceInstructions } from '../../agent/contract/host-instructions.ts'
import { askHaproxy } from '../../agent/operations/haproxy-socket.ts'
import { plainTraffic } from '../../templates/plain-traffic.ts'
import { type TestHost, until as untilOrLate } from './agent-hosts.ts'
import { type BalancerLab, balancerInstance, instanceOn, member, startBalancerLab, vips } from './balancer-lab.ts'

setDefaultTimeout(150_000)

/** For a machine that is busy with other things; what it takes otherwise is printed. */
const patienceSeconds = 40
/** haproxy's flags of a table of peers that has heard of all there is to know. */
const allKnown = 3
const soonMilliseconds = 5000

const [northVip, southVip] = vips
const until: typeof untilOrLate = (what, condition) => untilOrLate(what, condition, patienceSeconds)
const web = (...members: Parameters<typeof member>[0][]) => ({ port: 80, members: members.map((each) => member(each)) })
const memberKey = (number: 11 | 12 | 13) => `${member(number).id}:80`

let lab: BalancerLab

beforeAll(async () => {
  lab = await startBalancerLab()
  lab.instruct()
  await lab.converged()
})

afterAll(async () => {
  await lab?.stop()
})

const file = (host: TestHost, name: string) => `${host.folder}/run/objects/${instanceOn(host)}/${name}`
const pidIn = async (host: TestHost, name: string) => (await host.run('cat', file(host, name))).trim()
const keepalivedPids = (host: TestHost) =>
  Promise.all(['keepalived.pid', 'keepalived-vrrp.pid'].map((name) => pidIn(host, name)))
/** The master is older than its workers; of these the youngest serves. */
const haproxyPids = async (host: TestHost) => {
  const listing = await host.run('sh', '-c', 'grep -slx haproxy /proc/[0-9]*/comm || true')
  const pids = [...listing.matchAll(/\d+/g)].map(([pid]) => Number(pid)).sort((a, b) => a - b)
  return { master: String(pids[0]), worker: String(pids.at(-1)) }
}
const untilAtHome = () =>
  until('each VIP is at home', async () => {
    const [north, south] = await Promise.all(vips.map((vip) => lab.holders(vip)))
    return north?.join() === 'north' && south?.join() === 'south'
  })
const untilMember = (number: 11 | 12 | 13, status: string | undefined) =>
  until(`machine ${number} is ${status}`, () =>
    [lab.north, lab.south].every((host) => lab.instance(host)?.members[memberKey(number)] === status),
  )
const answersBy = (vip: string, port = 80) =>
  lab.onClient('sh', '-c', `curl -s --max-time 1 http://${vip}:${port}/ || true`)

/** Looks at who has a VIP, as fast as it can, until `isOver`; gives how long it was on two hosts at once, at most. */
async function watchOverlap(vip: string, isOver: (holders: readonly string[]) => boolean) {
  let since: number | undefined
  let longestMilliseconds = 0
  await until(`the VIP ${vip} is where it should be`, async () => {
    const holders = await lab.holders(vip)
    if (holders.length < 2) since = undefined
    else since ??= performance.now()
    if (since !== undefined) longestMilliseconds = Math.max(longestMilliseconds, performance.now() - since)
    return isOver(holders)
  })
  return longestMilliseconds
}

const say = (what: string, milliseconds: number) => {
  process.stderr.write(`    ${what}: ${milliseconds.toFixed(0)} ms\n`)
}

describe('a new balancer', () => {
  test('answers by both VIPs, each at home from the start', async () => {
    const startedAt = performance.now()
    lab.instruct([web(11, 12)])
    await until('the first VIP answers', async () => (await answersBy(northVip)).startsWith('web-'))
    say('instructions → first answer', performance.now() - startedAt)
    await lab.converged()
    // A check may have come before the way to its member was there on both hosts.
    for (const number of [11, 12] as const) await untilMember(number, 'healthy')
    expect(await answersBy(southVip)).toStartWith('web-')
    await untilAtHome()
  })

  test('says so in its reports', async () => {
    await untilMember(11, 'healthy')
    expect(lab.instance(lab.north)).toMatchObject({ haproxy: 'running', keepalived: 'running', heldVips: [northVip] })
  })

  test('backs its neighbour up after a while, and then rests', async () => {
    const hasBoth = async (host: TestHost) =>
      (await host.run('cat', file(host, 'keepalived.conf'))).split('vrrp_instance').length === 3
    await until('both are steady', async () => (await hasBoth(lab.north)) && (await hasBoth(lab.south)))
    await untilAtHome()
    const count = () => [lab.north, lab.south].map((host) => host.log().length)
    const before = count()
    const { sequence = 0 } = lab.north.report() ?? {}
    await until('three more reports are there', () => (lab.north.report()?.sequence ?? 0) >= sequence + 3)
    expect(count()).toEqual(before)
  })
})

describe('under load, without a failed request', () => {
  test('members are added, drained, moved and removed at runtime', async () => {
    const before = await haproxyPids(lab.north)
    const loads = vips.map((vip) => lab.load('steady', vip))
    await Promise.all(loads.map(({ answered }) => answered))
    lab.instruct([web(11, 12, 13)])
    await lab.converged()
    await untilMember(13, 'healthy')
    lab.instruct([web(12, 13)])
    await untilMember(11, undefined)
    lab.instruct([web(13)])
    await untilMember(12, undefined)
    lab.instruct([web(11, 12, 13)])
    await untilMember(11, 'healthy')
    lab.instruct([web(11, 12)])
    await untilMember(13, undefined)
    await lab.converged()
    for (const load of loads) {
      const result = await load.end()
      expect(result.reasons).toEqual({})
      expect(result.requests).toBeGreaterThan(1000)
      expect(Object.keys(result.answers).sort()).toEqual(['web-1', 'web-2', 'web-3'])
    }
    expect(await haproxyPids(lab.north)).toEqual(before)
  })

  test('a listener is added and removed by a reload', async () => {
    const before = await haproxyPids(lab.north)
    const loads = vips.map((vip) => lab.load('steady', vip))
    await Promise.all(loads.map(({ answered }) => answered))
    lab.instruct([web(11, 12), { ...web(13), port: 8080 }])
    await lab.converged()
    await until('the new listener answers', async () => (await answersBy(southVip, 8080)).startsWith('web-3'))
    lab.instruct([web(11, 12)])
    await lab.converged()
    for (const load of loads) {
      const result = await load.end()
      expect(result.reasons).toEqual({})
      expect(result.requests).toBeGreaterThan(500)
    }
    const after = await haproxyPids(lab.north)
    expect(after.master).toBe(before.master)
    expect(after.worker).not.toBe(before.worker)
    await untilAtHome()
  })

  test('the agent dies and starts again: it finds its daemons and leaves them alone', async () => {
    const before = await Promise.all([haproxyPids(lab.north), keepalivedPids(lab.north)])
    const load = lab.load('steady', northVip)
    await load.answered
    const startedAt = lab.north.report()?.startedAt
    await lab.north.killAgent()
    lab.north.startAgent()
    await until('the new agent has reported', () => {
      return lab.north.report()?.startedAt !== startedAt && lab.instance(lab.north)?.serving
    })
    expect((await load.end()).reasons).toEqual({})
    expect(await Promise.all([haproxyPids(lab.north), keepalivedPids(lab.north)])).toEqual(before)
  })
})

describe('a config that haproxy refuses', () => {
  test('is reported with the reason, and the last good one goes on', async () => {
    const load = lab.load('steady', northVip)
    await load.answered
    const check = { intervalSeconds: 1, timeoutSeconds: 1, healthyThreshold: 2, unhealthyThreshold: 2 }
    lab.instruct([web(11, 12)], {
      healthCheck: { protocol: 'http', method: 'GET', path: '/', hostHeader: 'x', expectedStatus: 'fine', ...check },
    })
    await until('the refusal is reported', () => lab.instance(lab.north)?.status === 'failed')
    expect(lab.instance(lab.north)?.reason).toContain('http-check expect')
    expect(lab.instance(lab.north)?.serving).toBe(true)
    lab.instruct([web(11, 12)])
    await lab.converged()
    expect((await load.end()).reasons).toEqual({})
  })
})

/** Clients keep their members by their addresses, which the instances tell each other. */
function instructSticky(listener: ReturnType<typeof web>): void {
  const withMate = (host: TestHost, number: 1 | 2): Partial<InstanceInstructions> => {
    const mates = [{ id: instanceOn(host), address: balancerInstance(number, []).network.address }]
    return { traffic: { ...plainTraffic, stickySessions: { by: 'source', idleSeconds: 60, mates } } }
  }
  lab.instruct([listener], withMate(lab.north, 1), withMate(lab.south, 2))
}

describe('a VIP moves, and comes home', () => {
  // Who has begun to remember clients needs seconds until it teaches others: so it begins long before that is looked at.
  beforeEach(async () => {
    instructSticky(web(11, 12))
    await lab.converged()
    await untilAtHome()
  })

  test.each(['worker', 'master'] as const)('when haproxy’s %s is killed', async (which) => {
    const pids = await haproxyPids(lab.north)
    const probe = lab.load('probe', northVip)
    await probe.answered
    await lab.north.run('kill', '-9', pids[which])
    await watchOverlap(northVip, (holders) => holders.join() === 'south')
    await untilAtHome()
    await lab.converged()
    const result = await probe.end()
    say(`longest gap around the death of haproxy's ${which}`, result.longestGapMilliseconds)
    expect(result.longestGapMilliseconds).toBeLessThan(soonMilliseconds)
    expect((await haproxyPids(lab.north)).master).not.toBe(pids.master)
  })

  test('when haproxy says nothing any more', async () => {
    const pids = await haproxyPids(lab.north)
    await lab.north.run('kill', '-STOP', pids.worker)
    await watchOverlap(northVip, (holders) => holders.join() === 'south')
    await untilAtHome()
    await lab.converged()
    expect((await haproxyPids(lab.north)).master).not.toBe(pids.master)
  })

  test.each([
    ['both processes', [0, 1]],
    ['the parent', [0]],
    ['the child', [1]],
  ])('when of keepalived %s is killed: never on two hosts for long', async (_, which) => {
    const pids = await keepalivedPids(lab.north)
    const probe = lab.load('probe', northVip)
    await probe.answered
    await lab.north.run('kill', '-9', ...which.map((index) => pids[index] ?? ''))
    // A new keepalived may be master before the neighbour has noticed; a parent may replace its child by itself.
    const isNew = async () => !pids.includes((await keepalivedPids(lab.north).catch(() => pids))[1] ?? '')
    let isAgain = false
    const overlap = watchOverlap(northVip, (holders) => isAgain && holders.join() === 'north')
    isAgain = await until('keepalived runs again', isNew)
    say('longest time on two hosts', await overlap)
    expect(await overlap).toBeLessThan(soonMilliseconds)
    await untilAtHome()
    const result = await probe.end()
    say('longest gap', result.longestGapMilliseconds)
    expect(result.longestGapMilliseconds).toBeLessThan(soonMilliseconds)
    await lab.converged()
  })

  test('when keepalived is stopped in its tracks: it is fenced', async () => {
    const pids = await keepalivedPids(lab.north)
    const probe = lab.load('probe', northVip)
    await probe.answered
    await lab.north.run('kill', '-STOP', ...pids)
    const overlap = await watchOverlap(northVip, (holders) => holders.join() === 'south')
    say('longest time on two hosts', overlap)
    expect(overlap).toBeLessThan(soonMilliseconds)
    await untilAtHome()
    const result = await probe.end()
    say('longest gap', result.longestGapMilliseconds)
    expect(result.longestGapMilliseconds).toBeLessThan(soonMilliseconds)
    await lab.converged()
  })

  test('when the whole host stands still for a while: one has it afterwards, and the client reaches that one', async () => {
    const all = (await lab.north.run('sh', '-c', "ls /proc | grep -E '^[0-9]+$' | grep -vx 1"))
      .split('\n')
      .filter((pid) => pid !== '')
    await lab.north.try('kill', '-STOP', ...all)
    await until('the neighbour has the VIP', async () => (await lab.holders(northVip)).includes('south'))
    await until('it has been so for longer than a standstill', () => Bun.sleep(1500).then(() => true))
    await lab.north.try('kill', '-CONT', ...all)
    const overlap = await watchOverlap(northVip, (holders) => holders.length === 1)
    say('longest time on two hosts after it went on', overlap)
    await untilAtHome()
    expect(await answersBy(northVip)).toStartWith('web-')
    await lab.converged()
  })
})

test('clients who stick by their address keep their members when the other host takes over', async () => {
  const clients = [1, 2, 3, 4, 5, 6].map((last) => `198.18.31.24${last}`)
  for (const client of clients) await lab.onClient('ip', 'address', 'add', `${client}/20`, 'dev', 'uplink0')
  instructSticky(web(11, 12, 13))
  await lab.converged()
  await untilMember(13, 'healthy')
  const whoServes = async () =>
    await Promise.all(
      clients.map(async (client) => {
        let answer = ''
        await until(`${client} is answered`, async () => {
          const argv = `curl -s --max-time 2 --interface ${client} http://${northVip}/ || true`
          answer = await lab.onClient('sh', '-c', argv)
          return answer !== ''
        })
        return answer
      }),
    )
  // A worker passes on what it knows once it has asked everybody else for it, or waited for them in vain.
  await until('the instances have told each other all', async () => {
    const said = await Promise.all(
      [lab.north, lab.south].map((host) => askHaproxy(file(host, 'haproxy.sock'), 'show peers')),
    )
    return said.every((peers) => (Number(/ flags=(0x[0-9a-f]+)/.exec(peers)?.[1]) & allKnown) === allKnown)
  })
  const before = await whoServes()
  expect(new Set(before).size).toBeGreaterThan(1)
  expect(await whoServes()).toEqual(before)
  await until('the other instance knows of all', async () => {
    const table = await askHaproxy(file(lab.south, 'haproxy.sock'), 'show table members_80')
    return clients.every((client) => table.includes(client))
  })
  // Its haproxy begins with nothing, so what it knows when the VIP is home again it has from the other host.
  await lab.north.run('kill', '-9', (await haproxyPids(lab.north)).master)
  await watchOverlap(northVip, (holders) => holders.join() === 'south')
  expect(await whoServes()).toEqual(before)
  await untilAtHome()
  await lab.converged()
  expect(await whoServes()).toEqual(before)
})

test('a balancer that is no longer wanted leaves nothing behind', async () => {
  lab.instruct()
  await lab.converged()
  for (const host of [lab.north, lab.south]) {
    expect((await host.run('ip', 'netns', 'list')).includes(instanceOn(host))).toBe(false)
    expect((await host.try('ls', file(host, ''))).exitCode).not.toBe(0)
    expect((await host.run('sh', '-c', 'cat /proc/[0-9]*/comm 2>/dev/null')).split('\n')).not.toContain('haproxy')
  }
})
