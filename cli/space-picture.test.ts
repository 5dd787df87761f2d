import { describe, expect, test } from 'bun:test'
import type { Migration } from '../controller/contract/migration.ts'
import type { Defragmentation, Evacuated, PoolSpace, ShardSpace } from '../controller/contract/space.ts'
import type { Api, ApiRequest } from './api.ts'
import { freeBlock } from './nouns/space.ts'
import { describeCompaction, describeDefragmentation } from './room-words.ts'
import { describeSpace, drawBar } from './space-picture.ts'

const shard: ShardSpace = {
  id: 'shd_1',
  name: 'web',
  cidr: '198.18.16.0/27',
  sizeAddresses: 32,
  status: 'in-use',
  networkId: 'net_1',
  networkName: 'shop',
  heldAddresses: 3,
  quarantinedAddresses: 0,
  freeAddresses: 26,
  utilization: 0.1034,
  cellAddresses: 1,
  heldByCell: [0, 0, 1, 1, 1, ...Array.from({ length: 27 }, () => 0)],
}

const space: PoolSpace = {
  poolId: 'pol_1',
  name: 'all',
  cidr: '198.18.16.0/26',
  sizeAddresses: 64,
  cutAddresses: 48,
  freeAddresses: 16,
  heldAddresses: 3,
  utilization: 0.0714,
  largestFreeAddresses: 16,
  fragmentation: 0,
  freeBlocks: [{ cidr: '198.18.16.32/28', sizeAddresses: 16 }],
  shards: [
    shard,
    {
      ...shard,
      cidr: '198.18.16.48/28',
      sizeAddresses: 16,
      status: 'available',
      networkName: null,
      utilization: 0,
      heldByCell: Array.from({ length: 16 }, () => 0),
    },
  ],
}

describe('the picture of a pool', () => {
  test('has a row for each shard and each free block, in the order of their addresses', () => {
    const text = describeSpace(space, { isColoured: false, columns: 80 })
    expect(text.split('\n')).toEqual([
      'pool all  198.18.16.0/26  64 addresses',
      '48 are cut into 2 shards, of which 3 are held (7.1 %)',
      '16 are free in 1 block: fragmentation 0.0 %',
      '',
      '198.18.16.0/27   ··███···························   10.3 %  in-use     shop',
      `198.18.16.32/28  ────────────────${' '.repeat(27)}not cut`,
      `198.18.16.48/28  ················${' '.repeat(16)}    0.0 %  available`,
      '',
      'held: · none  ░ up to a quarter  ▒ up to a half  ▓ more  █ all   ─ not cut',
    ])
  })

  test('has colours only where they are asked for', () => {
    const colour = String.fromCharCode(27)
    expect(describeSpace(space, { isColoured: false, columns: 80 })).not.toContain(colour)
    expect(describeSpace(space, { isColoured: true, columns: 80 })).toContain(`${colour}[32m··███`)
  })

  test('is no wider than the terminal', () => {
    const long = { ...space, shards: [{ ...shard, networkName: 'n'.repeat(60) }] }
    const widths = describeSpace(long, { isColoured: false, columns: 80 })
      .split('\n')
      .map((line) => line.length)
    expect(Math.max(...widths)).toBeLessThanOrEqual(80)
  })

  const rows: readonly (readonly [string, number, readonly number[], string])[] = [
    ['one address a cell', 1, [0, 1], '·█'],
    ['by quarters', 16, [0, 1, 4, 5, 8, 9, 15, 16], '·░░▒▒▓▓█'],
    [
      'two cells a character where there are more than fit',
      8,
      Array.from({ length: 64 }, (_, i) => (i < 2 ? 8 : 0)),
      `█${'·'.repeat(31)}`,
    ],
  ]
  for (const [sentence, cellAddresses, heldByCell, bar] of rows) {
    test(`draws ${sentence}`, () => {
      expect(drawBar({ cellAddresses, heldByCell: [...heldByCell] })).toBe(bar)
    })
  }

  test('of IPv6 counts /64s, and says how many addresses of each are held', () => {
    const size = 2 ** 64
    const ofIpv6 = { ...shard, sizeAddresses: size, cellAddresses: size }
    const text = describeSpace(
      {
        ...space,
        name: 'six',
        cidr: 'fd00:20::/62',
        sizeAddresses: 4 * size,
        cutAddresses: 2 * size,
        freeAddresses: 2 * size,
        largestFreeAddresses: size,
        freeBlocks: ['fd00:20:0:1::/64', 'fd00:20:0:3::/64'].map((cidr) => ({ cidr, sizeAddresses: size })),
        shards: [
          { ...ofIpv6, cidr: 'fd00:20::/64', heldByCell: [3] },
          { ...ofIpv6, cidr: 'fd00:20:0:2::/64', heldAddresses: 0, heldByCell: [0], networkName: null },
        ],
      },
      { isColoured: false, columns: 80 },
    )
    expect(text.split('\n').slice(0, 8)).toEqual([
      'pool six  fd00:20::/62  4 /64s',
      '2 are shards, of which 3 addresses are held',
      '2 are free in 2 blocks, the largest of 1',
      '',
      `fd00:20::/64      ░${' '.repeat(34)}3 held  in-use     shop`,
      `fd00:20:0:1::/64  ─${' '.repeat(42)}not cut`,
      `fd00:20:0:2::/64  ·${' '.repeat(34)}0 held  in-use`,
      `fd00:20:0:3::/64  ─${' '.repeat(42)}not cut`,
    ])
  })
})

const evacuated: Evacuated = {
  shardId: 'shd_1',
  name: 'web',
  cidr: '198.18.16.0/23',
  networkId: 'net_1',
  networkName: 'shop',
  holders: 3,
  instances: 0,
  migrationId: null,
  reason: null,
}

const plan: Defragmentation = {
  poolId: 'pol_1',
  sizeAddresses: 1024,
  block: '198.18.16.0/22',
  status: 'planned',
  moves: 3,
  addressesFreed: 512,
  evacuate: [evacuated],
  inTheWay: [],
}

describe('the making of room is told', () => {
  const rows: readonly (readonly [Partial<Defragmentation>, string])[] = [
    [{}, 'move 3 machines and free 198.18.16.0/22'],
    [{ evacuate: [{ ...evacuated, instances: 1 }] }, 'move 2 machines and 1 instance and free 198.18.16.0/22'],
    [{ moves: 0, evacuate: [{ ...evacuated, holders: 0 }] }, 'give back 1 empty shard and free 198.18.16.0/22'],
    [{ status: 'free', moves: 0, evacuate: [] }, '198.18.16.0/22 is free already: there is nothing to move'],
    [{ status: 'migrating' }, 'move 3 machines to free 198.18.16.0/22: under way'],
    [{ status: 'freed' }, '198.18.16.0/22 is free now'],
    [
      { status: 'blocked', evacuate: [{ ...evacuated, reason: 'it is reserved' }] },
      '198.18.16.0/22 can not be freed yet\n  web (198.18.16.0/23): it is reserved',
    ],
    [
      {
        status: 'impossible',
        block: null,
        inTheWay: [
          {
            block: '198.18.16.0/22',
            obstacles: [
              { kind: 'reserved', shardId: 'shd_1', networkId: null, message: "the shard 'web' is reserved" },
            ],
          },
        ],
      },
      "no block of 1024 addresses can be freed\n  198.18.16.0/22: the shard 'web' is reserved",
    ],
  ]
  for (const [parts, words] of rows) {
    test(words.split('\n')[0] ?? words, () => {
      expect(describeDefragmentation({ ...plan, ...parts }).startsWith(words)).toBeTrue()
    })
  }

  test('for a network with the blocks that it gives up', () => {
    const evacuate = ['10.0.0.0/24', '10.0.1.0/24'].map((cidr) => ({ ...evacuated, cidr }))
    const text = describeCompaction({ networkId: 'net_1', status: 'planned', moves: 6, addressesFreed: 512, evacuate })
    expect(text.split('\n')[0]).toBe('move 6 machines and free 10.0.0.0/24, 10.0.1.0/24')
  })
})

const migrationOf = (status: Migration['status']): Migration => ({
  id: 'mig_1',
  name: 'web',
  projectId: 'prj_1',
  shardKey: '0',
  version: 1,
  generation: 1,
  conditions: [],
  createdAt: '2030-01-01T00:00:00Z',
  updatedAt: '2030-01-01T00:00:00Z',
  status,
  shardId: 'shd_1',
  networkId: 'net_1',
  toNetworkId: null,
  mode: 'overlap',
  parallelism: 8,
  drainSeconds: 30,
  reason: status === 'blocked' ? 'web-1 could not move' : null,
  movesTotal: 3,
  movesDone: 3,
  movesFailed: 0,
  startedAt: '2030-01-01T00:00:00Z',
  finishedAt: null,
  moves: [],
})

describe('a block is freed', () => {
  const migration: Defragmentation = {
    ...plan,
    status: 'migrating',
    evacuate: [{ ...evacuated, migrationId: 'mig_1' }],
  }

  function createApi(answers: readonly Defragmentation[]) {
    const bodies: unknown[] = []
    const call = async ({ body }: ApiRequest) => answers[bodies.push(body) - 1]
    const api: Api = { address: '', token: '', call, open: () => Promise.reject(new Error('nothing streams here')) }
    return { api, bodies }
  }

  test('by a second request for that very block once the holders have moved', async () => {
    const { api, bodies } = createApi([migration, { ...plan, status: 'freed' }])
    const watched: string[] = []
    const made = await freeBlock(api, '/x', { sizeAddresses: 1024 }, async (id) => {
      watched.push(id)
      return migrationOf('done')
    })
    expect(made.status).toBe('freed')
    expect(watched).toEqual(['mig_1'])
    expect(bodies).toEqual([
      { sizeAddresses: 1024, dryRun: false },
      { sizeAddresses: 1024, cidr: '198.18.16.0/22', dryRun: false },
    ])
  })

  test('no further where nobody waits', async () => {
    const { api, bodies } = createApi([migration])
    expect((await freeBlock(api, '/x', { sizeAddresses: 1024 }, null)).status).toBe('migrating')
    expect(bodies).toHaveLength(1)
  })

  test('not where a holder can not move, who is named', async () => {
    const { api } = createApi([migration])
    const freeing = freeBlock(api, '/x', { sizeAddresses: 1024 }, async () => migrationOf('blocked'))
    await expect(freeing).rejects.toThrow('web-1 could not move')
  })
})
