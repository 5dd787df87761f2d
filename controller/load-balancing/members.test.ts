import { describe, expect, test } from 'bun:test'
import { createNamedId } from '../control-plane/shard-key.ts'
import type { MemberValue } from '../objects.ts'
import { endpointOf, findTrafficFaults, identifyMembers, parseMemberUrl } from './members.ts'

const balancerId = createNamedId('lb', 'project', 'balancer')
const machineId = createNamedId('mch', 'project', 'machine')
const member = (parts: Partial<MemberValue>): MemberValue => ({
  id: 'mbr',
  address: null,
  port: null,
  url: null,
  machineId: null,
  weight: 1,
  ...parts,
})

describe("a member's URL", () => {
  const rows: readonly (readonly [string, 'http' | 'tcp', string])[] = [
    ['http://198.18.16.11', 'http', '198.18.16.11 any port'],
    ['http://198.18.16.11/', 'http', '198.18.16.11 any port'],
    ['http://198.18.16.11:80', 'http', '198.18.16.11 80'],
    ['http://198.18.16.11:8080', 'http', '198.18.16.11 8080'],
    ['tcp://198.18.16.11:5432', 'tcp', '198.18.16.11 5432'],
    ['http://198.18.16.11:8080', 'tcp', '198.18.16.11 8080'],
    ['tcp://198.18.16.11:5432', 'http', 'must have the scheme http, as its balancer has'],
    ['https://198.18.16.11', 'http', 'has the scheme https; members are reached by http or tcp'],
    ['http://web.example.net', 'http', 'web.example.net any port'],
    ['http://web', 'http', 'names web; give an IPv4 address or a whole DNS name'],
    ['http://198.18.16.11/health', 'http', 'says more than scheme, address and port: /health'],
    ['http://198.18.16.11?x', 'http', 'says more than scheme, address and port: ?x'],
    ['web', 'http', 'must be a URL as http://198.18.16.11:8080'],
  ]
  for (const [url, trafficType, meaning] of rows) {
    test(`${url} of a ${trafficType} balancer: ${meaning}`, () => {
      const parsed = parseMemberUrl(url, trafficType)
      expect(parsed.ok ? `${parsed.endpoint.address} ${parsed.endpoint.port ?? 'any port'}` : parsed.message).toBe(
        meaning,
      )
    })
  }
})

describe('traffic of a member goes', () => {
  const rows: readonly (readonly [string, Partial<MemberValue>, string | null])[] = [
    ['to its address', { address: '10.0.0.2', port: 81 }, '10.0.0.2 81'],
    ['to the address of its URL', { url: 'http://10.0.0.3:82' }, '10.0.0.3 82'],
    ['to its machine', { machineId, port: 83 }, '10.0.0.4 83'],
    ['nowhere, when its machine is gone', { machineId: createNamedId('mch', 'project', 'gone') }, null],
  ]
  for (const [sentence, parts, expected] of rows) {
    test(sentence, () => {
      const found = endpointOf(member(parts), 'http', (id) => (id === machineId ? '10.0.0.4' : undefined))
      expect(found === null ? null : `${found.address} ${found.port}`).toBe(expected)
    })
  }
})

describe('members are told apart', () => {
  const first = identifyMembers(
    balancerId,
    [
      { address: '10.0.0.2', weight: 1 },
      { machineId, weight: 1 },
    ],
    [],
  )

  test('the same target keeps its id, whatever its weight and place', () => {
    const again = identifyMembers(
      balancerId,
      [
        { machineId, weight: 9 },
        { address: '10.0.0.2', weight: 1 },
      ],
      first,
    )
    expect(again.map(({ id }) => id)).toEqual(first.map(({ id }) => id).toReversed())
  })

  test('another port is another member', () => {
    const [changed] = identifyMembers(balancerId, [{ address: '10.0.0.2', port: 81, weight: 1 }], first)
    expect(first.some(({ id }) => id === changed?.id)).toBe(false)
  })

  test('a repetition makes the same ids', () => {
    expect(
      identifyMembers(
        balancerId,
        [
          { address: '10.0.0.2', weight: 1 },
          { machineId, weight: 1 },
        ],
        [],
      ),
    ).toEqual(first)
  })

  test('no two have one id, even when one was given the target of another', () => {
    const moved = first.map((one) => (one.address === null ? one : { ...one, address: '10.0.0.9' }))
    const all = identifyMembers(
      balancerId,
      [
        { address: '10.0.0.9', weight: 1 },
        { address: '10.0.0.2', weight: 1 },
      ],
      moved,
    )
    expect(all[0]?.id).toBe(moved[0]?.id)
    expect(new Set(all.map(({ id }) => id)).size).toBe(2)
  })
})

describe('faults are named by field', () => {
  const listeners = [{ port: 80 }]
  const rows: readonly (readonly [string, Parameters<typeof findTrafficFaults>[0], readonly string[]])[] = [
    [
      'two listeners of one port',
      { trafficType: 'http', listeners: [{ port: 80 }, { port: 80 }], members: [member({ address: '10.0.0.2' })] },
      ['listeners[1].port'],
    ],
    [
      'a member twice',
      { trafficType: 'http', listeners, members: [member({ address: '10.0.0.2' }), member({ address: '10.0.0.2' })] },
      ['members[1]'],
    ],
    [
      'a member twice, by address and by machine',
      { trafficType: 'http', listeners, members: [member({ address: '10.0.0.4' }), member({ machineId })] },
      ['members[1]'],
    ],
    [
      'a member twice, once by the port of the listener',
      {
        trafficType: 'http',
        listeners,
        members: [member({ address: '10.0.0.2' }), member({ address: '10.0.0.2', port: 80 })],
      },
      ['members[1]'],
    ],
    [
      'addresses that nobody can be reached by',
      {
        trafficType: 'http',
        listeners,
        members: [
          member({ address: '127.0.0.1' }),
          member({ address: '224.0.0.1' }),
          member({ url: 'http://0.0.0.0:80' }),
        ],
      },
      ['members[0].address', 'members[1].address', 'members[2].url'],
    ],
    [
      'a port that differs from that of the URL',
      { trafficType: 'http', listeners, members: [member({ url: 'http://10.0.0.2:81', port: 82 })] },
      ['members[0].port'],
    ],
    [
      'nothing, when one address serves two ports',
      {
        trafficType: 'http',
        listeners,
        members: [member({ address: '10.0.0.2', port: 81 }), member({ address: '10.0.0.2', port: 82 })],
      },
      [],
    ],
  ]
  for (const [sentence, traffic, fields] of rows) {
    test(sentence, () => {
      const faults = findTrafficFaults(traffic, (id) => (id === machineId ? '10.0.0.4' : undefined))
      expect(faults.map(({ field }) => field)).toEqual([...fields])
    })
  }
})
