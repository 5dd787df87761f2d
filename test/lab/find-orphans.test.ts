import { describe, expect, test } from 'bun:test'
import type { Kind, StoredObject } from '../../controller/control-plane/store.ts'
import {
  addressKind,
  hostKind,
  instanceKind,
  loadBalancerKind,
  loadBalancerSlotsKind,
  machineKind,
  machineStatusKind,
  networkKind,
  poolKind,
  poolOccupancyKind,
  projectKind,
  reservationKind,
  shardKind,
  shardOccupancyKind,
} from '../../controller/objects.ts'
import { findOrphans } from './find-orphans.ts'
import type { HostContent, World } from './lab-world.ts'

const id = (prefix: string, number = 1) => `${prefix}_${String(number).padStart(25, '0')}`

type Content = Readonly<Record<string, Readonly<Record<string, object>>>>

/** One of each, as it should be. */
const whole = {
  [hostKind.name]: { [id('hst')]: { name: 'host-1' } },
  [projectKind.name]: { [id('prj')]: { name: 'one' } },
  [networkKind.name]: { [id('net')]: { name: 'web', projectId: id('prj'), vni: 1 } },
  [poolKind.name]: { [id('pol')]: { name: 'web', projectId: id('prj') } },
  [poolOccupancyKind.name]: { [id('pol')]: { cuts: [{ shardId: id('shd'), cidr: '10.0.0.0/24' }] } },
  [shardKind.name]: { [id('shd')]: { cidr: '10.0.0.0/24' } },
  [shardOccupancyKind.name]: { [id('shd')]: { resourceCount: 2 } },
  [addressKind.name]: {
    [id('adr', 1)]: { address: '10.0.0.2', shardId: id('shd'), ownerId: id('mch') },
    [id('adr', 2)]: { address: '10.0.0.3', shardId: id('shd'), ownerId: id('lbi') },
  },
  [machineKind.name]: {
    [id('mch')]: {
      name: 'web-1',
      projectId: id('prj'),
      networkId: id('net'),
      hostId: id('hst'),
      addresses: [{ address: '10.0.0.2' }],
    },
  },
  [loadBalancerKind.name]: { [id('lb')]: { name: 'web', projectId: id('prj') } },
  [loadBalancerSlotsKind.name]: { [id('lb')]: { slots: [{ slot: 1, vip: '192.0.2.1', instanceId: id('lbi') }] } },
  [instanceKind.name]: {
    [id('lbi')]: {
      loadBalancerId: id('lb'),
      projectId: id('prj'),
      networkId: id('net'),
      hostId: id('hst'),
      uplinkAddress: '192.0.2.2',
      networkAddress: '10.0.0.3',
    },
  },
  [reservationKind.name]: { [id('rsv')]: { ownerId: id('lb'), words: ['uplink', '192.0.2.1'] } },
} satisfies Content

const host: HostContent = {
  name: 'host-1',
  namespaces: [id('prj'), id('mch'), id('lbi'), 'foreign'],
  aliases: [id('net'), id('mch'), id('lbi')],
}

function makeWorld(content: Content, parts: Partial<World> = {}): World {
  const of = <Value>(kind: Kind<Value>) =>
    Object.entries(content[kind.name] ?? {}).map(([id, value]) => ({ id, value }) as unknown as StoredObject<Value>)
  const ids = new Set(Object.values(content).flatMap(Object.keys))
  return {
    store: { of, has: (id) => ids.has(id), count: ids.size },
    hosts: [host],
    daemons: [`${id('lbi')}/haproxy`],
    ...parts,
  }
}

test('a world in which all is wanted and there has none', () => {
  expect(findOrphans(makeWorld(whole))).toEqual([])
})

describe('it finds', () => {
  const rows: readonly (readonly [string, World, string])[] = [
    [
      'a reservation without its owner',
      makeWorld({ ...whole, [reservationKind.name]: { [id('rsv')]: { ownerId: id('lb', 9), words: ['name', 'x'] } } }),
      `the reservation name x belongs to ${id('lb', 9)}, which is not there`,
    ],
    [
      'an address of the uplink that no slot and no instance has',
      makeWorld({
        ...whole,
        [reservationKind.name]: { [id('rsv')]: { ownerId: id('lb'), words: ['uplink', '192.0.2.9'] } },
      }),
      'the reservation uplink 192.0.2.9 is used by nobody',
    ],
    [
      'an address that its machine does not say it has',
      makeWorld({
        ...whole,
        [addressKind.name]: {
          ...whole[addressKind.name],
          [id('adr', 3)]: { address: '10.0.0.4', shardId: id('shd'), ownerId: id('mch') },
        },
        [shardOccupancyKind.name]: { [id('shd')]: { resourceCount: 3 } },
      }),
      `the address of ${id('mch')} 10.0.0.4 is wanted by nobody`,
    ],
    [
      'a shard that counts what is not there',
      makeWorld({ ...whole, [shardOccupancyKind.name]: { [id('shd')]: { resourceCount: 3 } } }),
      `the shard ${id('shd')} counts 3 resources and has 2`,
    ],
    [
      'a status without its object',
      makeWorld({ ...whole, [machineStatusKind.name]: { [id('mch', 9)]: { status: 'active' } } }),
      `the machine-status of ${id('mch', 9)} has no machine`,
    ],
    [
      'a cut of a pool without its shard',
      makeWorld({
        ...whole,
        [poolOccupancyKind.name]: { [id('pol')]: { cuts: [{ shardId: id('shd', 9), cidr: '10.0.1.0/24' }] } },
      }),
      `the pool ${id('pol')} has a cut 10.0.1.0/24 for ${id('shd', 9)}, which is not there`,
    ],
    [
      'a namespace of a machine that is not there',
      makeWorld(whole, { hosts: [{ ...host, namespaces: [...host.namespaces, id('mch', 9)] }] }),
      `host-1 has ${id('mch', 9)}, which is not wanted there`,
    ],
    [
      'a bridge of a network that is not there',
      makeWorld(whole, { hosts: [{ ...host, aliases: [...host.aliases, id('net', 9)] }] }),
      `host-1 has ${id('net', 9)}, which is not wanted there`,
    ],
    [
      'an instance that its host lacks',
      makeWorld(whole, { hosts: [{ ...host, namespaces: [id('prj'), id('mch')] }] }),
      `host-1 has no namespace ${id('lbi')}`,
    ],
    [
      'a daemon of nobody',
      makeWorld(whole, { daemons: [`${id('lbi', 9)}/haproxy`] }),
      `${id('lbi', 9)}/haproxy runs for nobody`,
    ],
  ]
  test.each(rows)('%s', (_, world, finding) => {
    expect(findOrphans(world)).toEqual([finding])
  })
})
