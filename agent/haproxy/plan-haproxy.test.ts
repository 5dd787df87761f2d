import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { httpInstance } from '../../templates/golden/instances.ts'
import { backendName, renderHaproxyConfig, serverName } from '../../templates/haproxy-config.ts'
import { plainTraffic } from '../../templates/plain-traffic.ts'
import type { InstanceInstructions, ListenerInstructions } from '../contract/host-instructions.ts'
import type { TrafficInstructions } from '../contract/traffic-instructions.ts'
import type { Operation } from '../operations/operation.ts'
import { haproxyFiles } from './haproxy-files.ts'
import type { ObservedServer } from './observed-haproxy.ts'
import { type DesiredHaproxy, type ObservedHaproxy, planHaproxy } from './plan-haproxy.ts'
import { wantedServers } from './wanted-servers.ts'

type Member = ListenerInstructions['members'][number]

const files = haproxyFiles('/run/sluice', httpInstance.id)
const member = (number: number, change: Partial<Member> = {}): Member => ({
  id: `mem_${String(number).padStart(25, '0')}`,
  address: `198.18.16.${number}`,
  port: 80,
  weight: 1,
  ...change,
})

function desire(members: readonly Member[], change: Partial<InstanceInstructions> = {}): DesiredHaproxy {
  const instance = { ...httpInstance, listeners: [{ port: 80, members: [...members] }], ...change }
  return { instance, rendered: renderHaproxyConfig(instance, { statsSocket: files.statsSocket, threads: 2 }), files }
}

const server = (of: Member, change: Partial<ObservedServer> = {}): ObservedServer => ({
  backend: backendName(80),
  name: serverName(httpInstance, of),
  address: of.address,
  port: of.port,
  weight: of.weight,
  health: 'up',
  isDraining: false,
  isInMaintenance: false,
  isUnresolved: false,
  number: 1,
  connections: 0,
  connectionsInUse: 0,
  ...change,
})

/** A haproxy that runs `desired`, except for its members. */
function running(
  { rendered }: DesiredHaproxy,
  servers: readonly ObservedServer[],
  drainingSeconds: ObservedHaproxy['drainingSeconds'] = new Map(),
): ObservedHaproxy {
  const answer = { description: rendered.description, workerPid: 2, servers }
  return { status: 'answering', config: rendered.text, answer, drainingSeconds, fault: '0\n' }
}

const stopped = (config?: string): ObservedHaproxy => ({
  status: 'stopped',
  config,
  drainingSeconds: new Map(),
  fault: undefined,
})

/** Commands by their text, other operations by their kind. */
const tell = (operations: readonly Operation[]) =>
  operations.map((operation) => (operation.kind === 'haproxyCommand' ? operation.command : operation.kind))

const path = (of: Member) => `${backendName(80)}/${serverName(httpInstance, of)}`
const one = member(1)
const two = member(2)

describe('a start', () => {
  const desired = desire([one])
  test.each<[string, ObservedHaproxy, string[]]>([
    ['the first one is its own check', stopped(), ['writeFile', 'startDaemon']],
    [
      'another one is checked meanwhile, for the report',
      stopped(desired.rendered.text),
      ['startDaemon', 'checkConfig'],
    ],
    [
      'with another config the last good one serves until the new one is checked',
      stopped('old'),
      ['startDaemon', 'writeFile', 'checkConfig', 'renameFile'],
    ],
    ['one that starts is left alone', { ...stopped(desired.rendered.text), status: 'starting' }, []],
    [
      'one that says nothing any more is ended first',
      { ...stopped(desired.rendered.text), status: 'silent' },
      ['stopDaemon', 'startDaemon', 'checkConfig'],
    ],
  ])('%s', (_, observed, expected) => {
    expect(tell(planHaproxy(desired, observed))).toEqual(expected)
  })
})

describe('members, without a reload', () => {
  const replaced = ['writeFile', 'checkConfig', 'renameFile']
  test('one that comes is added with all its settings, and checked before it serves', () => {
    const plan = tell(planHaproxy(desire([one, two]), { ...running(desire([one, two]), [server(one)]), config: 'old' }))
    expect(plan[0]).toStartWith(`add server ${path(two)} 198.18.16.2:80 check inter 5000ms`)
    expect(plan.slice(1)).toEqual([`enable health ${path(two)}`, `set server ${path(two)} state drain`, ...replaced])
  })

  test('the file follows, so that the next start has them', () => {
    expect(tell(planHaproxy(desire([one]), { ...running(desire([one]), [server(one)]), config: 'old' }))).toEqual(
      replaced,
    )
  })

  test('one at another address is checked before the old one drains, which serves meanwhile', () => {
    const moved = { ...one, address: '198.18.16.9' }
    const desired = desire([moved])
    const plan = tell(planHaproxy(desired, running(desired, [server(one)])))
    expect(plan[0]).toStartWith(`add server ${path(moved)} `)
    expect(plan.slice(1)).toEqual([`enable health ${path(moved)}`, `set server ${path(moved)} state drain`])
    const unchecked = server(moved, { isDraining: true, health: 'unknown' })
    expect(planHaproxy(desired, running(desired, [server(one), unchecked]))).toEqual([])
    const takesOver = [`set server ${path(moved)} state ready`, `set server ${path(one)} state drain`]
    for (const health of ['up', 'down'] as const) {
      const checked = server(moved, { isDraining: true, health })
      expect(tell(planHaproxy(desired, running(desired, [server(one), checked])))).toEqual(takesOver)
    }
  })

  test('one that is down at its other address serves at the first, for as long as it has both', () => {
    const moved = { ...one, address: '198.18.16.9' }
    const desired = desire([moved])
    const observed = running(desired, [server(one), server(moved, { health: 'down' })])
    const drains = [`set server ${path(one)} state drain`]
    const planWith = (...holders: [string, string][]) =>
      tell(planHaproxy({ ...desired, holders: new Map(holders) }, observed))
    expect(planWith([one.address, 'mch_1'], [moved.address, 'mch_1'])).toEqual([])
    expect(planWith([one.address, 'mch_2'], [moved.address, 'mch_1'])).toEqual(drains)
    expect(planWith([moved.address, 'mch_1'])).toEqual(drains)
    expect(planWith()).toEqual(drains)
  })

  test('one that drains is not cut off while its machine has both addresses', () => {
    const moved = { ...one, address: '198.18.16.9' }
    const desired = desire([moved])
    const draining = server(one, { isDraining: true, connectionsInUse: 1, connections: 1 })
    const observed = running(desired, [draining, server(moved)], new Map([[path(one), 1000]]))
    const planWith = (...holders: [string, string][]) =>
      tell(planHaproxy({ ...desired, holders: new Map(holders) }, observed))
    expect(planWith([one.address, 'mch_1'], [moved.address, 'mch_1'])).toEqual([])
    const cut = [`shutdown sessions server ${path(one)}`, `set server ${path(one)} state maint`]
    expect(planWith([moved.address, 'mch_1'])).toEqual(cut)
  })

  test('nor is what was begun from a former leg, while there is one', () => {
    const network = { ...httpInstance.network, address: '198.18.16.202' }
    const formerAddress = httpInstance.network.address
    const name = serverName({ ...httpInstance, network }, one)
    const draining = server(one, { isDraining: true, connectionsInUse: 1, connections: 1 })
    const planWith = (leg: InstanceInstructions['network']) => {
      const desired = desire([one], { network: leg })
      const observed = running(desired, [draining, server(one, { name })], new Map([[path(one), 1000]]))
      return tell(planHaproxy(desired, observed))
    }
    expect(planWith({ ...network, formerAddress })).toEqual([])
    expect(planWith(network)).toEqual([`shutdown sessions server ${path(one)}`, `set server ${path(one)} state maint`])
  })

  test('from another leg they are others, for HTTP, so that nothing is kept that was begun with the former', () => {
    const network = { ...httpInstance.network, address: '198.18.16.202', formerAddress: httpInstance.network.address }
    const desired = desire([one], { network })
    const plan = tell(planHaproxy(desired, running(desired, [server(one)])))
    expect(plan[0]).toStartWith(`add server ${backendName(80)}/${serverName({ ...httpInstance, network }, one)} `)
    const tcp = desire([one], { network, trafficType: 'tcp' })
    const name = serverName({ ...httpInstance, trafficType: 'tcp' }, one)
    expect(planHaproxy(tcp, running(tcp, [server(one, { name })]))).toEqual([])
  })

  const gone = (change: Partial<ObservedServer>) => [server(one), server(two, change)]
  const since = (seconds: number) => new Map([[path(two), seconds]])
  test.each<[string, ObservedServer[], ReadonlyMap<string, number>, string[]]>([
    ['one that goes drains', gone({ connectionsInUse: 3 }), new Map(), [`set server ${path(two)} state drain`]],
    ['while it is in use it may finish', gone({ isDraining: true, connectionsInUse: 1 }), since(3), []],
    [
      'when it is no longer, it is taken out',
      gone({ isDraining: true }),
      since(1),
      [`set server ${path(two)} state maint`],
    ],
    [
      'what is out and still in use waits as well',
      gone({ isInMaintenance: true, connectionsInUse: 1, connections: 1 }),
      since(3),
      [],
    ],
    [
      'until its time is over',
      gone({ isInMaintenance: true, connectionsInUse: 1, connections: 1 }),
      since(10),
      [`shutdown sessions server ${path(two)}`],
    ],
    [
      'when its time is over it is cut off',
      gone({ isDraining: true, connectionsInUse: 1, connections: 1 }),
      since(10),
      [`shutdown sessions server ${path(two)}`, `set server ${path(two)} state maint`],
    ],
    ['what is out and has no connection goes', gone({ isInMaintenance: true }), since(11), [`del server ${path(two)}`]],
    [
      'what is out and keeps connections for reuse waits',
      gone({ isInMaintenance: true, connections: 2 }),
      since(11),
      [],
    ],
  ])('%s', (_, servers, drainingSeconds, expected) => {
    expect(tell(planHaproxy(desire([one]), running(desire([one]), servers, drainingSeconds)))).toEqual(expected)
  })

  test('one that comes back while it drains is made ready again', () => {
    const plan = planHaproxy(desire([one]), running(desire([one]), [server(one, { isDraining: true })]))
    expect(tell(plan)).toEqual([`set server ${path(one)} state ready`])
  })

  test('one that has not been checked yet waits', () => {
    const observed = running(desire([one]), [server(one, { isDraining: true, health: 'unknown' })])
    expect(planHaproxy(desire([one]), observed)).toEqual([])
  })

  test('one whose addition was cut short is checked', () => {
    const observed = running(desire([one]), [server(one, { isInMaintenance: true, health: 'unknown' })])
    expect(tell(planHaproxy(desire([one]), observed))).toEqual([
      `enable health ${path(one)}`,
      `set server ${path(one)} state drain`,
    ])
  })

  test('another weight is set', () => {
    const plan = planHaproxy(desire([{ ...one, weight: 7 }]), running(desire([{ ...one, weight: 7 }]), [server(one)]))
    expect(tell(plan)).toEqual([`set server ${path(one)} weight 7`])
  })
})

describe('where clients stay with their members', () => {
  const sticky: TrafficInstructions = {
    ...plainTraffic,
    stickySessions: { by: 'source', idleSeconds: 60, mates: [] },
  }
  const plan = (change: Partial<InstanceInstructions>) => {
    const desired = desire([one], { traffic: sticky, ...change })
    const name = (of: Member) => serverName(desired.instance, of)
    const servers = [one, two].map((of, i) => server(of, { name: name(of), number: 100 + i }))
    return tell(planHaproxy(desired, running(desired, servers))).map((command) => command.replace(name(two), 'two'))
  }

  test('one that goes is taken out at once for HTTP, which lets it end what it has begun', () => {
    expect(plan({})).toEqual(['set server members_80/two state maint'])
  })

  test('for TCP it drains, and the table forgets who was bound to it', () => {
    expect(plan({ trafficType: 'tcp' })).toEqual([
      'set server members_80/two state drain',
      'clear table members_80 data.server_id eq 101',
    ])
  })
})

test('servers that haproxy gives addresses to are left to it', () => {
  const desired = desire([one])
  const named = server(two, { name: `${two.id}.n1`, isInMaintenance: true, isUnresolved: true })
  expect(planHaproxy(desired, running(desired, [server(one), named]))).toEqual([])
})

describe('structure', () => {
  const changed = desire([one], { algorithm: 'least-connections' })
  test('a change is checked, written and reloaded, in this order', () => {
    const observed = running(desire([one]), [server(one)])
    expect(tell(planHaproxy(changed, observed))).toEqual(['writeFile', 'checkConfig', 'renameFile', 'reloadHaproxy'])
  })

  test('a reload that did not come about is made up for', () => {
    const observed = { ...running(desire([one]), [server(one)]), config: changed.rendered.text }
    expect(tell(planHaproxy(changed, observed))).toEqual(['reloadHaproxy'])
  })
})

/** What haproxy becomes by a plan, as far as its answers show; its commands as its manual has them. */
function apply(desired: DesiredHaproxy, observed: ObservedHaproxy, operations: readonly Operation[]): ObservedHaproxy {
  const servers = new Map((observed.answer?.servers ?? []).map((each) => [`${each.backend}/${each.name}`, each]))
  const drainingSeconds = new Map(observed.drainingSeconds)
  let { config } = observed
  let description = observed.answer?.description ?? ''
  let candidate: string | undefined
  const fromFile = () => {
    servers.clear()
    for (const { port, members } of desired.instance.listeners) {
      for (const each of members) {
        servers.set(
          `${backendName(port)}/${serverName(httpInstance, each)}`,
          server(each, { backend: backendName(port) }),
        )
      }
    }
    description = desired.rendered.description
  }
  for (const operation of operations) {
    if (operation.kind === 'writeFile') candidate = operation.content
    if (operation.kind === 'renameFile' || (operation.kind === 'writeFile' && operation.path === files.config)) {
      config = candidate
    }
    if (operation.kind === 'startDaemon' || operation.kind === 'reloadHaproxy') fromFile()
    if (operation.kind !== 'haproxyCommand') continue
    const [verb = '', , target = '', what = '', value = ''] = operation.command.split(' ')
    const before = servers.get(target)
    if (verb === 'add') {
      const wanted = desired.instance.listeners.flatMap(({ port, members }) =>
        members.map((each) => ({ path: `${backendName(port)}/${serverName(httpInstance, each)}`, port, each })),
      )
      const found = wanted.find((each) => each.path === target)
      if (before !== undefined || found === undefined) throw new Error(`haproxy refuses: ${operation.command}`)
      servers.set(
        target,
        server(found.each, { backend: backendName(found.port), isInMaintenance: true, health: 'unknown' }),
      )
    } else if (verb === 'set' && before) {
      if (what === 'weight') servers.set(target, { ...before, weight: Number(value) })
      else servers.set(target, { ...before, isDraining: value === 'drain', isInMaintenance: value === 'maint' })
    } else if (verb === 'del') {
      if (!before?.isInMaintenance || before.connections > 0) throw new Error(`haproxy refuses: ${operation.command}`)
      servers.delete(target)
    } else if (verb === 'shutdown') {
      const last = operation.command.split(' ')[3] ?? ''
      const cut = servers.get(last)
      if (cut) servers.set(last, { ...cut, connectionsInUse: 0, connections: 0 })
    }
  }
  // Time passes until the next turn: what drains has drained for long enough by then, and been checked.
  for (const [each, seen] of servers) {
    if (seen.isDraining) drainingSeconds.set(each, 1000)
    servers.set(each, { ...seen, health: seen.isInMaintenance ? seen.health : 'up' })
  }
  const answer = { description, workerPid: 2, servers: [...servers.values()] }
  return { status: 'answering', config, answer, drainingSeconds, fault: '0\n' }
}

describe('a number that is in use', () => {
  const bySource = { algorithm: 'source' } as const
  const desired = desire([two], bySource)
  const number = wantedServers(desired.instance).get(path(two))?.number ?? 0
  const inTheWay = server(one, { number })

  test('is waited for, until who has it is gone', () => {
    expect(tell(planHaproxy(desired, running(desired, [inTheWay])))).toEqual([`set server ${path(one)} state drain`])
    const [first = ''] = tell(planHaproxy(desired, running(desired, [])))
    expect(first).toStartWith(`add server ${path(two)} 198.18.16.2:80 id ${number} `)
  })

  test('is given up by the member itself, where that had it at another place', () => {
    const moved = { ...two, address: '198.18.16.99' }
    const plan = tell(planHaproxy(desired, running(desired, [server(moved, { number })])))
    expect(plan).toEqual([`set server ${path(moved)} state drain`])
  })
})

const anyMembers = fc.uniqueArray(
  fc.record({
    number: fc.integer({ min: 1, max: 5 }),
    port: fc.constantFrom(80, 81),
    weight: fc.integer({ min: 0, max: 3 }),
  }),
  { selector: ({ number, port }) => `${number}:${port}`, maxLength: 6 },
)
const turnsMaximum = 6

test('from any members to any others, and any structure: in a few turns there is nothing left to do', () => {
  const makeDesired = (members: { number: number; port: number; weight: number }[], isLeast: boolean) =>
    desire(
      members.map(({ number, port, weight }) => member(number, { port, weight })),
      { algorithm: isLeast ? 'least-connections' : 'round-robin' },
    )
  fc.assert(
    fc.property(anyMembers, fc.boolean(), anyMembers, fc.boolean(), fc.nat(3), (before, isA, after, isB, inUse) => {
      const first = makeDesired(before, isA)
      const busy = first.instance.listeners.flatMap(({ members }) =>
        members.map((each) => server(each, { connectionsInUse: inUse, connections: inUse })),
      )
      const desired = makeDesired(after, isB)
      let observed = running(first, busy)
      for (let turn = 0; turn < turnsMaximum; turn += 1) {
        observed = apply(desired, observed, planHaproxy(desired, observed))
      }
      expect(planHaproxy(desired, observed)).toEqual([])
      const wanted = desired.instance.listeners.flatMap(({ members }) =>
        members.map((each) => serverName(httpInstance, each)),
      )
      expect(observed.answer?.servers.map(({ name }) => name).sort()).toEqual(wanted.sort())
    }),
  )
})
