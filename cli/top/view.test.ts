import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { type BalancerRow, balancerView } from './balancers.ts'
import { type HostRow, hostView } from './hosts.ts'
import { renderTop, type TopLayout } from './view.ts'

// A machine that is busy with other things takes its time.
setDefaultTimeout(30_000)

const shop: BalancerRow = {
  id: 'lb_1',
  name: 'shop',
  status: 'active',
  trafficType: 'http',
  requestsPerSecond: 1234,
  requestHistory: [0, 100, 300, 500, 800, 1000, 1100, 1200, null, 1234],
  connections: 320,
  errorsPerSecond: 0,
  latencyMilliseconds: 11.6,
  membersHealthy: 10,
  members: 10,
  instancesServing: 2,
  instances: 2,
  cpuPercent: 31.4,
}
const balancers: readonly BalancerRow[] = [
  {
    ...shop,
    id: 'lb_2',
    name: 'a name that is much longer than any terminal has room for',
    requestsPerSecond: 0.4,
    cpuPercent: 0.04,
  },
  shop,
  {
    ...shop,
    id: 'lb_3',
    name: 'café ☕ 日本語の店 👩‍👩‍👧',
    status: 'degraded',
    requestsPerSecond: 45_600,
    errorsPerSecond: 12.3,
    latencyMilliseconds: 2040,
    membersHealthy: 7,
    instancesServing: 1,
  },
  {
    ...shop,
    id: 'lb_4',
    name: 'new\u001b[2J\n',
    status: 'provisioning',
    requestsPerSecond: null,
    requestHistory: [],
    connections: null,
    errorsPerSecond: null,
    latencyMilliseconds: null,
    membersHealthy: 0,
    instancesServing: 0,
    cpuPercent: null,
  },
]

const layout: TopLayout = {
  width: 80,
  height: null,
  sortKey: 'requests',
  isReversed: false,
  offset: 0,
  hasColours: false,
  time: '23:05:12',
  footer: null,
}
const render = (change: Partial<TopLayout> = {}) => renderTop(balancerView, balancers, { ...layout, ...change })

/** As it looks, between two lines. */
const picture = (lines: readonly string[]) => `\n${lines.join('\n')}\n`

describe('load balancers in 80 columns', () => {
  test('say who has how much to do', () => {
    expect(picture(render())).toBe(`
4 load balancers, 1 degraded, 47k requests/s, 12 errors/s               23:05:12
NAME            STATUS       REQ/S▼ TREND       CONN  ERR/S  LAT    UP INST  CPU
café ☕ 日本語… degraded        46k ▁▂▃▄▆▇██ █   320     12   2s  7/10  1/2  31%
shop            active         1.2k ▁▂▃▄▆▇██ █   320      0 12ms 10/10  2/2  31%
a name that is… active          0.4 ▁▂▃▄▆▇██ █   320      0 12ms 10/10  2/2   0%
new\\u{1b}[2J\\u… provisioning      -                -      -    -  0/10  0/2    -
`)
  })

  test('are sorted by what is asked for, and what is not known is last either way', () => {
    const names = (change: Partial<TopLayout>) =>
      render({ ...change, width: 200 })
        .slice(2)
        .map((line) => line.slice(0, 3))
    expect(names({ sortKey: 'cpu' })).toEqual(['sho', 'caf', 'a n', 'new'])
    expect(names({ sortKey: 'cpu', isReversed: true })).toEqual(['a n', 'caf', 'sho', 'new'])
    expect(names({ sortKey: 'name' })).toEqual(['a n', 'caf', 'new', 'sho'])
    expect(names({ sortKey: 'status' })).toEqual(['caf', 'new', 'a n', 'sho'])
  })

  test('are as many as there is room for, the others a key away', () => {
    expect(picture(render({ height: 5, offset: 1, footer: 'q quit' }))).toBe(`
4 load balancers, 1 degraded, 47k requests/s, 12 errors/s               23:05:12
NAME            STATUS       REQ/S▼ TREND       CONN  ERR/S  LAT    UP INST  CPU
shop            active         1.2k ▁▂▃▄▆▇██ █   320      0 12ms 10/10  2/2  31%
a name that is… active          0.4 ▁▂▃▄▆▇██ █   320      0 12ms 10/10  2/2   0%
q quit  2-3 of 4
`)
    expect(render({ height: 5, offset: 99, footer: 'q quit' }).at(-1)).toBe('q quit  3-4 of 4')
  })

  test('fill a screen of 24 lines however many there are, and say which of how many', () => {
    const many = Array.from({ length: 300 }, (_, i) => ({ ...shop, id: `lb_${i}`, name: `shop ${i}` }))
    const lines = renderTop(balancerView, many, { ...layout, height: 24, offset: 280, footer: 'q quit' })
    expect(lines.length).toBe(24)
    expect(lines.at(-1)).toBe('q quit  280-300 of 300')
    expect(lines.every((line) => line.length <= 80)).toBe(true)
  })

  test('leave out what matters least where there are few columns', () => {
    expect(picture(render({ width: 50 }))).toBe(`
4 load balancers, 1 degraded, 47k reques… 23:05:12
NAME         STATUS       REQ/S▼  ERR/S  LAT    UP
café ☕ 日…  degraded        46k     12   2s  7/10
shop         active         1.2k      0 12ms 10/10
a name that… active          0.4      0 12ms 10/10
new\\u{1b}[2… provisioning      -      -    -  0/10
`)
  })

  test('are painted where there are colours, and say the same without them', () => {
    const painted = render({ hasColours: true })
    expect(painted.join()).toContain('\u001b[')
    expect(painted.map((line) => Bun.stripANSI(line).trimEnd())).toEqual(render())
  })
})

const host: HostRow = {
  id: 'hst_1',
  name: 'north',
  status: 'active',
  cpuPercent: 42,
  cpuHistory: [10, 20, 30, 40, 50, 60, 50, 40, 42, 42],
  memoryPercent: 91.2,
  receivedBytesPerSecond: 12_345_678,
  sentBytesPerSecond: 999,
  instances: 12,
  balancers: 7,
  reportSecondsAgo: 0.6,
  agentVersion: '0.1.0',
}
const hosts: readonly HostRow[] = [
  host,
  { ...host, id: 'hst_2', name: 'south', status: 'silent', cpuPercent: null, cpuHistory: [], reportSecondsAgo: 421 },
  {
    ...host,
    id: 'hst_3',
    name: 'west',
    status: 'awaiting-join',
    cpuPercent: 3,
    instances: 0,
    balancers: 0,
    reportSecondsAgo: null,
  },
]

test('hosts in 80 columns', () => {
  expect(picture(renderTop(hostView, hosts, { ...layout, sortKey: 'cpu' }))).toBe(`
3 hosts, 2 not active, 24 instances                                     23:05:12
NAME        STATUS        CPU▼ TREND       MEM  IN B/S  OUT B/S  INST LBS  AGENT
north       active         42% ▃▄▅▆▇█▇▆▆▆  91%     12M      999    12   7     1s
west        awaiting-join   3% ▃▄▅▆▇█▇▆▆▆  91%     12M      999     0   0  never
south       silent           -             91%     12M      999    12   7     7m
`)
})

test('whatever names and figures there are, no line is wider than the terminal, and none moves its cursor', () => {
  const figure = fc.option(fc.double({ min: 0, noNaN: true }), { nil: null })
  const row = fc.record({
    name: fc.string({ unit: 'binary', maxLength: 100 }),
    status: fc.constantFrom('active', 'degraded', 'failed', 'provisioning', 'deleting'),
    requestsPerSecond: figure,
    requestHistory: fc.array(figure, { maxLength: 40 }),
    connections: figure,
    errorsPerSecond: figure,
    latencyMilliseconds: figure,
    cpuPercent: figure,
    membersHealthy: fc.nat(256),
    members: fc.nat(256),
  })
  fc.assert(
    fc.property(fc.array(row, { maxLength: 5 }), fc.integer({ min: 40, max: 200 }), (rows, width) => {
      const whole = rows.map((each, i) => ({ ...shop, ...each, id: String(i) }))
      for (const line of renderTop(balancerView, whole, { ...layout, width })) {
        expect(Bun.stringWidth(line)).toBeLessThanOrEqual(width)
        expect(line).not.toMatch(/\p{Cc}/u)
      }
    }),
    { endOnFailure: true, numRuns: 60 },
  )
})
