/** The checker finds nothing in histories that can be, and each planted fault in those that can't. */

import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { checkHistory, describeFaults, type FaultKind } from './check-history.ts'
import { type ActionAnswer, createRecorder, type Entry, type FinalObject, type Operation } from './history.ts'

const done = (version: number): ActionAnswer => ({ kind: 'done', version })
const entries = (...all: readonly (readonly [string, number])[]): readonly Entry[] =>
  all.map(([actionId, version]) => ({ actionId, version }))

let instants = 0
const action = (actionId: string, answer: ActionAnswer, span: readonly [number, number | null]): Operation => ({
  kind: 'action',
  client: 'one',
  object: 'x',
  actionId,
  answer,
  calledAt: span[0],
  answeredAt: span[1],
})
const read = (
  shown: readonly Entry[],
  span: readonly [number, number],
  parts: { readonly client?: string; readonly promise?: 'latest' | 'memory'; readonly version?: number } = {},
): Operation => ({
  kind: 'read',
  client: parts.client ?? 'reader',
  object: 'x',
  promise: parts.promise ?? 'latest',
  version: parts.version ?? shown.at(-1)?.version ?? 0,
  entries: shown,
  calledAt: span[0],
  answeredAt: span[1],
})
const final = (shown: readonly Entry[], version = shown.at(-1)?.version ?? 0): FinalObject => ({
  version,
  entries: shown,
})

const judge = (operations: readonly Operation[], last: FinalObject): readonly FaultKind[] => [
  ...new Set(checkHistory({ operations, finals: new Map([['x', last]]) }).map(({ kind }) => kind)),
]

const ab = entries(['a', 1], ['b', 2])
const a = entries(['a', 1])

describe('a history that can be', () => {
  const rows: readonly (readonly [string, readonly Operation[], FinalObject])[] = [
    ['one write after the other', [action('a', done(1), [1, 2]), action('b', done(2), [3, 4])], final(ab)],
    ['two at once, in either order', [action('a', done(1), [1, 4]), action('b', done(2), [2, 3])], final(ab)],
    [
      'two written as one',
      [action('a', done(1), [1, 4]), action('b', done(1), [2, 3])],
      final(entries(['a', 1], ['b', 1])),
    ],
    ['one in doubt that is there', [action('a', { kind: 'unknown' }, [1, null])], final(a)],
    ['one in doubt that is not there', [action('a', { kind: 'unknown' }, [1, null])], final([])],
    ['one refused that is not there', [action('a', { kind: 'notDone' }, [1, 2])], final([])],
    [
      'one refused, asked again and done',
      [action('a', { kind: 'notDone' }, [1, 2]), action('a', done(1), [3, 4])],
      final(a),
    ],
    ['a repetition with the same answer', [action('a', done(1), [1, 2]), action('a', done(1), [5, 6])], final(a)],
    [
      'a memory that lags behind what another was told',
      [action('a', done(1), [1, 2]), read([], [3, 4], { promise: 'memory' })],
      final(a),
    ],
    [
      'a read at the same time, before or after',
      [action('a', done(1), [1, 4]), read([], [2, 3]), read(a, [2, 3])],
      final(a),
    ],
  ]
  for (const [name, operations, last] of rows) {
    test(name, () => expect(judge(operations, last)).toEqual([]))
  }
})

describe('a planted fault is found:', () => {
  const wrote = action('a', done(1), [1, 2])
  const wroteB = action('b', done(2), [3, 4])
  const rows: readonly (readonly [string, FaultKind, readonly Operation[], FinalObject])[] = [
    ['an acknowledged write is gone', 'lostWrite', [wrote], final([])],
    ['one overwrote another', 'lostWrite', [wrote, action('b', done(1), [1, 2])], final(entries(['b', 1]))],
    [
      'it is in another version',
      'wrongVersion',
      [wrote, action('c', done(1), [1, 9])],
      final(entries(['c', 1], ['a', 2])),
    ],
    ['it is done twice', 'doubledAction', [wrote], final(entries(['a', 1], ['a', 2]))],
    ['it is done twice in one write', 'doubledAction', [wrote], final(entries(['a', 1], ['a', 1]))],
    ['a refused one is there', 'unaskedWrite', [action('a', { kind: 'notDone' }, [1, 2])], final(a)],
    ['one that nobody asked for', 'unaskedWrite', [wrote], final(ab)],
    ['a version is left out', 'versionGap', [wrote, action('b', done(3), [3, 4])], final(entries(['a', 1], ['b', 3]))],
    ['a version is given twice', 'versionGap', [wrote, wroteB], final(entries(['b', 2], ['a', 1]), 2)],
    ['a version without an action', 'versionGap', [wrote], final(a, 2)],
    [
      'the later write has the earlier version',
      'writesOutOfOrder',
      [action('b', done(2), [1, 2]), action('a', done(1), [3, 4])],
      final(ab),
    ],
    [
      'a write in the version of one that was over',
      'writesOutOfOrder',
      [wrote, action('b', done(1), [3, 4])],
      final(entries(['a', 1], ['b', 1])),
    ],
    ['a read of the leader is behind', 'staleRead', [wrote, read([], [3, 4])], final(a)],
    [
      'reads of two readers go back',
      'staleRead',
      [action('a', done(1), [1, 9]), read(a, [2, 3]), read([], [4, 5], { client: 'other' })],
      final(a),
    ],
    [
      'memory goes back',
      'staleRead',
      [wrote, read(a, [3, 4], { promise: 'memory' }), read([], [5, 6], { promise: 'memory' })],
      final(a),
    ],
    [
      "a client's memory is without its own write",
      'staleRead',
      [wrote, read([], [3, 4], { client: 'one', promise: 'memory' })],
      final(a),
    ],
    ['a read of what was asked for later', 'futureRead', [read(a, [1, 2]), action('a', done(1), [3, 4])], final(a)],
    ['a value that was undone', 'unknownValue', [wrote, read(entries(['z', 1]), [3, 4])], final(a)],
    [
      'half of what was written as one',
      'unknownValue',
      [action('a', done(1), [1, 9]), action('b', done(1), [1, 9]), read(a, [2, 3])],
      final(entries(['a', 1], ['b', 1])),
    ],
    ['a version beyond the last', 'unknownValue', [wrote, read(a, [3, 4], { version: 2 })], final(a)],
  ]
  for (const [name, kind, operations, last] of rows) {
    test(name, () => expect(judge(operations, last)).toContain(kind))
  }
})

test('each history of a correct register is found consistent, and each in which a write is left out is not', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ client: fc.nat(3), object: fc.nat(1), isRead: fc.boolean(), delay: fc.nat(3) }), {
        minLength: 1,
        maxLength: 40,
      }),
      fc.nat(),
      async (steps, chosen) => {
        const { operations, finals } = await runRegister(steps)
        const faults = checkHistory({ operations, finals })
        expect(describeFaults(faults)).toBe('')
        const acknowledged = [...finals].flatMap(([object, { entries: all }]) =>
          all.map((entry) => ({ object, entry })),
        )
        const victim = acknowledged[chosen % Math.max(1, acknowledged.length)]
        if (victim === undefined) return
        const before = finals.get(victim.object) ?? final([])
        const without = before.entries.filter((entry) => entry !== victim.entry)
        const planted = new Map([...finals, [victim.object, { ...before, entries: without }]])
        expect(checkHistory({ operations, finals: planted })).not.toEqual([])
      },
    ),
    { numRuns: 60 },
  )
})

interface Step {
  readonly client: number
  readonly object: number
  readonly isRead: boolean
  readonly delay: number
}

/** A register that is linearizable by its making: each step is done at one instant between its call and its answer. */
async function runRegister(steps: readonly Step[]) {
  const recorder = createRecorder(() => ++instants)
  const registers = new Map<string, FinalObject>()
  const pause = async (turns: number) => {
    for (let i = 0; i < turns; i++) await Promise.resolve()
  }
  const see = (object: string) => registers.get(object) ?? final([])
  await Promise.all(
    steps.map(async (step, number) => {
      const asked = { client: `client ${step.client}/${number}`, object: `x${step.object}` }
      await pause(number % 5)
      if (step.isRead) {
        await recorder.read({ ...asked, promise: 'latest' }, async () => {
          await pause(step.delay)
          const shown = see(asked.object)
          await pause(step.delay)
          return shown
        })
        return
      }
      await recorder.act({ ...asked, actionId: `a${number}` }, async () => {
        await pause(step.delay)
        const { version, entries: before } = see(asked.object)
        const entry = { actionId: `a${number}`, version: version + 1 }
        registers.set(asked.object, { version: version + 1, entries: [...before, entry] })
        await pause(step.delay)
        return done(version + 1)
      })
    }),
  )
  return { operations: recorder.operations(), finals: registers }
}
