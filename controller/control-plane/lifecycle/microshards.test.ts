/** What can be asked of microshards, and what is refused. */

import { describe, expect, test } from 'bun:test'
import type { Outcome } from '../../contract/problem.ts'
import { planFirstDirectory } from '../microshard-directory.ts'
import { createTestMicroshards, testNode } from './test-microshards.ts'

const key = (digits: string) => digits.padEnd(16, '0')
const objects = new Map(['5', '6', '9'].map((digits) => [key(digits), 1]))
const dead = { name: 'node-2', address: null, location: null, isAlive: false }
const open = () =>
  createTestMicroshards({ objects, nodes: [testNode, dead, { ...dead, name: 'node-3', isAlive: true }] })

function problemOf(outcome: Outcome<unknown>): string {
  return outcome.ok ? 'none' : `${outcome.problem.code}: ${outcome.problem.detail}`
}

describe('an operation is begun', () => {
  test('and named by the directory, with successors that have numbers and an epoch of their own', async () => {
    const microshards = open()
    const begun = await microshards.split('2', {}, 'seed')
    expect(begun).toMatchObject({
      ok: true,
      value: { kind: 'split', phase: 'making', sources: ['2'], targets: ['5', '6'] },
    })
    const [operation] = microshards.directory.current().operations
    expect(operation?.targets.map(({ from, to, epoch }) => [from, to, epoch])).toEqual([
      [key('4'), '5fffffffffffffff', 2],
      [key('6'), '7fffffffffffffff', 2],
    ])
    expect(await microshards.list()).toMatchObject([
      { id: '1', status: 'active', phase: null, objects: 0 },
      { id: '2', status: 'active', phase: 'making', objects: 2, keys: 2 },
      { id: '3', status: 'active', phase: null, objects: 1 },
      { id: '4', status: 'active', phase: null, objects: 0 },
      { id: '5', status: 'inactive', phase: 'making' },
      { id: '6', status: 'inactive', phase: 'making' },
    ])
  })

  test('once, however often the same request is repeated', async () => {
    const microshards = open()
    const [first, second] = [await microshards.split('2', {}, 'seed'), await microshards.split('2', {}, 'seed')]
    expect(second).toEqual(first)
    expect(microshards.directory.current().version).toBe(2)
  })

  test('and aborted', async () => {
    const microshards = open()
    const begun = await microshards.merge('1', { withId: '2' }, 'seed')
    const id = begun.ok ? begun.value.id : ''
    expect(await microshards.abort(id)).toMatchObject({ ok: true, value: { phase: 'aborting' } })
    expect(problemOf(await microshards.abort(id))).toStartWith('conflict: The merge')
  })
})

describe('refused, and nothing is changed:', () => {
  type Asked = (microshards: ReturnType<typeof open>) => Promise<Outcome<unknown>>
  const rows: readonly (readonly [string, Asked, string])[] = [
    [
      'splitting what has one key',
      (m) => m.split('3', {}, 's'),
      'conflict: What microshard 3 keeps lies at fewer than',
    ],
    ['splitting what has none', (m) => m.split('1', {}, 's'), 'conflict: What microshard 1 keeps lies at fewer than'],
    ['splitting outside of the arc', (m) => m.split('2', { at: key('9') }, 's'), 'invalid: Microshard 2 keeps 4'],
    ['splitting where the arc begins', (m) => m.split('2', { at: key('4') }, 's'), 'invalid: Microshard 2 keeps 4'],
    ['splitting what is not there', (m) => m.split('77', {}, 's'), "not-found: The directory has no microshard '77'"],
    [
      'merging what are no neighbours',
      (m) => m.merge('1', { withId: '3' }, 's'),
      'conflict: Microshards 1 and 3 do not',
    ],
    ['merging across the end of the ring', (m) => m.merge('4', { withId: '1' }, 's'), 'conflict: Microshards 4 and 1'],
    ['merging with itself', (m) => m.merge('1', { withId: '1' }, 's'), 'conflict: Microshards 1 and 1'],
    ['merging with what is not there', (m) => m.merge('1', { withId: 'x' }, 's'), 'not-found: The directory has no'],
    ['migrating to an unknown node', (m) => m.migrate('1', { toNode: 'mars' }, 's'), "no-host: Microshard 1 can't be"],
    ['migrating to a dead node', (m) => m.migrate('1', { toNode: 'node-2' }, 's'), "no-host: Microshard 1 can't be"],
    ['aborting what is not there', (m) => m.abort('mop_x'), "not-found: No operation 'mop_x'"],
  ]
  for (const [what, ask, problem] of rows) {
    test(what, async () => {
      const microshards = open()
      const before = microshards.directory.current()
      expect(problemOf(await ask(microshards))).toStartWith(problem)
      expect(microshards.directory.current()).toBe(before)
    })
  }

  test('migrating to the node that it is on', async () => {
    const first = planFirstDirectory()
    const placed = first.microshards.map((entry) => ({ ...entry, node: 'node-3' }))
    const alive = { ...dead, name: 'node-3', isAlive: true }
    const microshards = createTestMicroshards({
      directory: { ...first, microshards: placed },
      nodes: [testNode, alive],
    })
    expect(problemOf(await microshards.migrate('1', { toNode: 'node-3' }, 's'))).toBe(
      "conflict: Microshard 1 is on node 'node-3'.",
    )
    const alone = createTestMicroshards()
    expect(problemOf(await alone.migrate('1', { toNode: testNode.name }, 's'))).toStartWith(
      'conflict: Microshard 1 is on',
    )
  })

  test('an operation on what takes part in another', async () => {
    const microshards = open()
    await microshards.merge('1', { withId: '2' }, 'first')
    for (const ask of [microshards.split('2', {}, 's'), microshards.merge('3', { withId: '2' }, 's')]) {
      expect(problemOf(await ask)).toStartWith('conflict: Microshard 2 takes part in the merge')
    }
    expect(microshards.directory.current().version).toBe(2)
  })
})

test('an action of a user is found by the directory, and so is its undoing', async () => {
  const microshards = open()
  const created = await microshards.locate({ user: 'user123', action: 'createVolume' })
  const deleted = await microshards.locate({ user: 'user123', action: 'deleteVolume' })
  expect(created).toMatchObject({ action: 'createVolume', version: 1 })
  expect({ ...deleted, action: '' }).toEqual({ ...created, action: '' })
  const directory = await microshards.showDirectory()
  const place = directory.microshards.find(({ id }) => id === created.microshardId)
  expect(created.shardKey >= (place?.from ?? 'x') && created.shardKey <= (place?.to ?? '')).toBe(true)
})
