import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Migration } from '../controller/contract/migration.ts'
import { ProblemError } from './api.ts'
import { describeBar, describeChanges, describeFrame, describeStanding, watchMigration } from './migration-progress.ts'

type Move = Migration['moves'][number]

const startedAt = '2030-01-01T00:00:00.000Z'
const now = Date.parse(startedAt)

const makeMove = (name: string, step: Move['step'], more: Partial<Move> = {}): Move => ({
  ownerId: `mch_${name}`,
  ownerKind: 'machine',
  name,
  from: '10.0.0.2',
  to: step === 'waiting' ? null : '10.0.4.2',
  mode: 'overlap',
  step,
  reason: null,
  startedAt: step === 'waiting' ? null : startedAt,
  finishedAt: null,
  ...more,
})

const makeMigration = (moves: readonly Move[], more: Partial<Migration> = {}): Migration => ({
  id: 'mig_1',
  name: 'web',
  projectId: 'prj_1',
  shardKey: '0',
  version: 1,
  generation: 1,
  status: 'running',
  conditions: [],
  createdAt: startedAt,
  updatedAt: startedAt,
  shardId: 'shd_1',
  networkId: 'net_1',
  toNetworkId: null,
  mode: 'overlap',
  parallelism: 8,
  drainSeconds: 30,
  reason: null,
  movesTotal: moves.length,
  movesDone: moves.filter(({ step }) => step === 'done').length,
  movesFailed: moves.filter(({ step }) => step === 'failed').length,
  startedAt,
  finishedAt: null,
  moves: [...moves],
  ...more,
})

const before = makeMigration([makeMove('a', 'waiting'), makeMove('b', 'waiting')])
const between = makeMigration([makeMove('a', 'done'), makeMove('b', 'draining', { from: '10.0.0.30' })])
const after = makeMigration([makeMove('a', 'done'), makeMove('b', 'done')], {
  status: 'done',
  finishedAt: '2030-01-01T00:01:05.000Z',
})

describe('a picture', () => {
  test('is a bar and a line for each holder under way', () => {
    expect(describeFrame(between, now + 12_000, 80)).toEqual([
      `web  [${'█'.repeat(15)}${'░'.repeat(15)}]  1/2  running  0:12`,
      '  b  10.0.0.30 → 10.0.4.2  draining  0:12',
    ])
  })

  test('of one that has ended tells how long it took', () => {
    expect(describeFrame(after, now + 3_600_000, 80)).toEqual([`web  [${'█'.repeat(30)}]  2/2  done  1:05`])
  })

  test('has no more lines than a screen, and says how many more there are', () => {
    const many = makeMigration(Array.from({ length: 64 }, (_, i) => makeMove(`m${i}`, 'adding')))
    const lines = describeFrame(many, now, 80)
    expect(lines).toHaveLength(18)
    expect(lines.at(-1)).toBe('  and 48 more')
  })

  test('is never wider than the terminal', () => {
    const reason = fc.string({ maxLength: 200, unit: 'grapheme-ascii' })
    fc.assert(
      fc.property(fc.integer({ min: 10, max: 120 }), reason, (columns, why) => {
        const migration = makeMigration([makeMove('a', 'returning', { reason: why }), makeMove('b', 'failed')])
        for (const line of describeFrame(migration, now, columns)) expect(line.length).toBeLessThanOrEqual(columns)
      }),
    )
  })

  test('has a bar that is full only when all is done', () => {
    expect(describeBar(0, 0, 4)).toBe('[████]')
    expect(describeBar(999, 1000, 4)).toBe('[███░]')
    expect(describeBar(1000, 1000, 4)).toBe('[████]')
  })
})

test('changes are a line each, and the standing when it changes', () => {
  expect(describeChanges(null, before)).toEqual(['shard web  running  0 of 2 moved'])
  expect(describeChanges(before, between)).toEqual([
    'a  10.0.0.2 → 10.0.4.2  done',
    'b  10.0.0.30 → 10.0.4.2  draining',
  ])
  expect(describeChanges(between, between)).toEqual([])
  const failed = makeMove('b', 'failed', { reason: 'its host is silent' })
  const blocked = makeMigration([makeMove('a', 'done'), failed], { status: 'blocked', reason: 'b could not move' })
  expect(describeChanges(between, blocked)).toEqual([
    'b  10.0.0.2 → 10.0.4.2  failed: its host is silent',
    'shard web  blocked  1 of 2 moved, 1 failed: b could not move',
  ])
})

describe('watching', () => {
  async function watch(answers: readonly (Migration | Error)[], style: 'bar' | 'lines' | 'json') {
    const left = [...answers]
    const written: string[] = []
    const ended = await watchMigration({
      read: async () => {
        const next = left.shift()
        if (next === undefined) throw new Error('BUG: it goes on after the end')
        if (next instanceof Error) throw next
        return next
      },
      write: (text) => written.push(text),
      style,
      columns: 80,
      now: () => now,
      sleep: async () => undefined,
    })
    return { ended, written }
  }

  test('ends with the migration, in plain lines where there is no terminal', async () => {
    const { ended, written } = await watch([before, before, between, after], 'lines')
    expect(ended.status).toBe('done')
    expect(written.join('')).toBe(
      [
        'shard web  running  0 of 2 moved',
        'a  10.0.0.2 → 10.0.4.2  done',
        'b  10.0.0.30 → 10.0.4.2  draining',
        'b  10.0.0.2 → 10.0.4.2  done',
        `${describeStanding(after)}\n`,
      ].join('\n'),
    )
  })

  test('draws each picture over the one before', async () => {
    const { written } = await watch([before, between, after], 'bar')
    expect(written.map((text) => text.startsWith('\u001b['))).toEqual([false, true, true])
    expect(written[1]).toStartWith('\u001b[1A\u001b[J')
    expect(written[2]).toStartWith('\u001b[2A\u001b[J')
  })

  test('as JSON is a line for each change', async () => {
    const { written } = await watch([before, before, after], 'json')
    expect(written.map((text) => JSON.parse(text) as Migration)).toEqual([before, after])
  })

  test('ends where somebody has to act', async () => {
    const blocked = makeMigration([makeMove('a', 'failed')], { status: 'blocked' })
    expect((await watch([before, blocked], 'lines')).ended.status).toBe('blocked')
  })

  test('goes on while the controller starts again', async () => {
    expect((await watch([before, new Error('nobody answers'), after], 'lines')).ended.status).toBe('done')
  })

  test('of one that is not there, or that nobody ever answered for, is an error', async () => {
    const problem = { type: 'x', title: 'Not found', status: 404, code: 'not-found', detail: 'There is none.' }
    await expect(watch([before, new ProblemError(problem)], 'lines')).rejects.toThrow('There is none.')
    await expect(watch([new Error('nobody answers')], 'lines')).rejects.toThrow('nobody answers')
  })
})
