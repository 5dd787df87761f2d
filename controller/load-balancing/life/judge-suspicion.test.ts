import { describe, expect, test } from 'bun:test'
import {
  findOpenQuestion,
  isRecordedAsCondemned,
  judgeSuspicion,
  type SuspicionEvidence,
  type Testimonies,
} from './judge-suspicion.ts'

const began = Date.parse('2030-01-01T00:00:00Z')
const nobody: Testimonies = { reached: [], seen: [], unserved: [], missed: [], blind: [] }

const evidence = (parts: Partial<SuspicionEvidence>): SuspicionEvidence => ({
  cause: 'hostSilent',
  message: 'Its host is silent.',
  beganAt: new Date(began).toISOString(),
  before: [],
  uplinkAddress: '198.18.32.10',
  testimonies: nobody,
  witnessesNeeded: 2,
  suspectAfterSeconds: 6,
  now: began + 6_000,
  ...parts,
})

const missedBy = (...missed: readonly string[]): Testimonies => ({ ...nobody, missed })

const unservedBy = (...unserved: readonly string[]): Testimonies => ({ ...nobody, unserved })

describe('an instance', () => {
  test.each<[string, Partial<SuspicionEvidence>, boolean]>([
    ['is condemned when two others miss it', { testimonies: missedBy('b', 'c') }, true],
    ['is not condemned by one word', { testimonies: missedBy('b') }, false],
    ['is condemned by the only other one', { testimonies: missedBy('b'), witnessesNeeded: 1 }, true],
    ['is not condemned by the blind', { testimonies: { ...missedBy('b'), blind: ['c', 'd'] } }, false],
    ['is saved by anybody who reaches it', { testimonies: { ...missedBy('b', 'c'), reached: ['d'] } }, false],
    ['is saved by anybody who sees its kernel there', { testimonies: { ...missedBy('b', 'c'), seen: ['d'] } }, false],
    ['is condemned by two whom its haproxy does not answer', { testimonies: unservedBy('b', 'c') }, true],
    ['is so though somebody sees its kernel', { testimonies: { ...unservedBy('b', 'c'), seen: ['d'] } }, true],
    ['is not by one of them, then', { testimonies: { ...unservedBy('b'), seen: ['d'] } }, false],
    [
      'is not by one of them and one who misses it',
      { testimonies: { ...unservedBy('b'), missed: ['c'], seen: ['d'] } },
      false,
    ],
    [
      'is saved by anybody whom its haproxy answers',
      { testimonies: { ...unservedBy('b', 'c'), reached: ['d'] } },
      false,
    ],
    ['is not condemned before its time', { testimonies: missedBy('b', 'c'), now: began + 5_900 }, false],
    ['is not condemned where there is nobody else', { witnessesNeeded: Number.POSITIVE_INFINITY }, false],
    ['is condemned by its own agent without others', { cause: 'ownWord' }, true],
    ['is not condemned for a VIP that is away, unless others miss it', { cause: 'vipAway' }, false],
  ])('%s', (_, parts, expected) => {
    const suspicion = judgeSuspicion(evidence(parts))
    expect([suspicion.isCondemned, isRecordedAsCondemned(suspicion.conditions)]).toEqual([expected, expected])
  })

  test('is suspected since the same time for as long as it is for the same cause', () => {
    const first = judgeSuspicion(evidence({}))
    const later = judgeSuspicion(evidence({ before: first.conditions, beganAt: undefined, now: began + 60_000 }))
    expect(later.since).toBe(first.since)
    const other = judgeSuspicion(
      evidence({ before: first.conditions, beganAt: undefined, cause: 'ownWord', now: began + 60_000 }),
    )
    expect([other.since, other.isCondemned]).toEqual([new Date(began + 60_000).toISOString(), false])
  })

  test('is a question to others by all that its own agent does not say', () => {
    expect(findOpenQuestion(judgeSuspicion(evidence({})).conditions)).toEqual({ since: new Date(began).toISOString() })
    expect(findOpenQuestion(judgeSuspicion(evidence({ cause: 'ownWord' })).conditions)).toBeNull()
    expect(findOpenQuestion([])).toBeNull()
  })
})
