import { describe, expect, test } from 'bun:test'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BackupMessage, createBackupLines } from '../../controller/contract/backup.ts'
import type { Api, ApiRequest } from '../api.ts'
import { describeControllers } from './controller.ts'
import { describeStore, storeCommand } from './store.ts'

test('a store is told by its servers, and by its streams with how far each copy is', () => {
  const node = { address: '10.0.0.1:4222', version: '2.15.2', status: 'present', leads: 1 } as const
  const text = describeStore({
    mode: 'distributed',
    status: 'available',
    replicas: 3,
    nodes: [{ name: 'node-1', ...node }],
    streams: [
      {
        name: 'ms_1',
        messages: 12,
        bytes: 1,
        leader: 'node-1',
        replicas: [
          { node: 'node-2', status: 'current', lag: 0 },
          { node: 'node-3', status: 'lagging', lag: 7 },
        ],
      },
      { name: 'ms_2', messages: 0, bytes: 0, leader: null, replicas: [] },
    ],
  })
  expect(text.split('\n')).toEqual([
    'distributed, available, 3 copies of each thing',
    '',
    'NODE    STATUS   ADDRESS        VERSION  LEADS',
    'node-1  present  10.0.0.1:4222  2.15.2   1',
    '',
    'STREAM  LEADER  MESSAGES  COPIES',
    'ms_1    node-1  12        node-2, node-3 lagging by 7',
    'ms_2    none    0         -',
  ])
})

test('controllers are told with what each leads', () => {
  const controller = {
    address: 'http://a:7480',
    version: '1.0.0',
    status: 'present',
    since: '2026-01-01T00:00:00.000Z',
  } as const
  const text = describeControllers([
    { ...controller, name: 'controller-1', leads: ['names', 'reconcile'], isSelf: true },
    { ...controller, name: 'controller-2', leads: [], isSelf: false },
  ])
  expect(text).toContain('controller-1 (answers)')
  expect(text.split('\n').at(-1)).toBe('controller-1 leads names, reconcile')
})

const message = (i: number): BackupMessage => ({
  kind: 'message',
  subject: `shard.shd_${i}`,
  shardKey: '0123456789abcdef',
  // Separators of lines that are none in this file, and half of a character at the end of what is read at once.
  body: `${i} \u2028 \u2029 ä€😀`.repeat(2_000),
})

function makeBackup(count: number): string {
  const lines = createBackupLines()
  return [
    lines.head({ createdAt: '2026-01-01T00:00:00Z', sluiceVersion: '1.0.0', parts: 1 }),
    lines.part({ microshard: '1', from: '0000000000000000', to: 'ffffffffffffffff', cut: 9 }),
    ...Array.from({ length: count }, (_, i) => lines.message(message(i))),
    lines.partEnd(),
    lines.end(),
  ].join('')
}

describe('a backup', () => {
  const run = async (api: Partial<Api>, ...argv: readonly string[]) => {
    await storeCommand(() => api as Api).parseAsync([...argv], { from: 'user' })
  }
  const withFolder = async (work: (folder: string) => Promise<void>) => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-backup-'))
    await work(folder).finally(() => rm(folder, { recursive: true }))
  }

  test('is saved once it is whole, and comes back in its order, in parts that a controller takes', async () => {
    await withFolder(async (folder) => {
      const text = makeBackup(60)
      const file = join(folder, 'rack.backup')
      await run({ open: async () => new Response(text) }, 'backup', file)
      expect(await Bun.file(file).text()).toBe(text)
      const bodies: unknown[] = []
      const call = async ({ body }: ApiRequest) => {
        bodies.push(body)
        return { written: 1, kept: 0 }
      }
      await run({ call }, 'restore', file)
      expect(bodies[0]).toEqual({ format: 1, force: false })
      const parts = bodies.slice(1) as readonly { readonly messages: readonly BackupMessage[] }[]
      expect(parts.length).toBeGreaterThan(1)
      expect(parts.flatMap(({ messages }) => messages)).toEqual(Array.from({ length: 60 }, (_, i) => message(i)))
      for (const part of parts) expect(JSON.stringify(part).length).toBeLessThan(1024 * 1024)
    })
  })

  test('that was cut off leaves nothing behind', async () => {
    await withFolder(async (folder) => {
      const open = async () => new Response(makeBackup(3).slice(0, -20))
      await expect(run({ open }, 'backup', join(folder, 'rack.backup'))).rejects.toThrow('was cut off and is not kept')
      expect(await readdir(folder)).toEqual([])
    })
  })

  test('that is damaged is refused before the controller is asked', async () => {
    await withFolder(async (folder) => {
      const file = join(folder, 'rack.backup')
      await Bun.write(file, makeBackup(3).replace('shd_1', 'shd_2'))
      await expect(run({}, 'restore', file)).rejects.toThrow('checksum is another')
    })
  })
})
