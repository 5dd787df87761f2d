/** What stands against each other when a change can't be made: versions, and the fields in which they differ. Pure. */

import type { Clash, Difference } from '../../contract/escalation.ts'

const differencesMaximum = 50

/** Where what is wanted is not what there is, or where both have changed since the base. */
export function listDifferences(base: unknown, wanted: unknown, latest: unknown): readonly Difference[] {
  const paths = new Set([base, wanted, latest].flatMap((value) => [...fieldsOf(value).keys()]))
  const [before, asked, now] = [fieldsOf(base), fieldsOf(wanted), fieldsOf(latest)]
  const differences = [...paths].toSorted().flatMap((field): Difference[] => {
    const [one, two, three] = [before.get(field), asked.get(field), now.get(field)]
    if (isSame(two, three) && isSame(one, three)) return []
    return [{ field, base: one ?? null, wanted: two ?? null, latest: three ?? null }]
  })
  return differences.slice(0, differencesMaximum)
}

/** Those that both sides have changed since the base, each to another value. */
export const listCollisions = (differences: readonly Difference[]): readonly Difference[] =>
  differences.filter(
    ({ base, wanted, latest }) => !isSame(base, wanted) && !isSame(base, latest) && !isSame(wanted, latest),
  )

/** What clashes now, with the change as it was decided on at first. */
export function joinClashes(first: Clash, last: Clash): Clash {
  const before = new Map(first.differences.map((difference) => [difference.field, difference]))
  const now = new Map(last.differences.map((difference) => [difference.field, difference]))
  const differences = [...new Set([...before.keys(), ...now.keys()])].toSorted().map((field): Difference => {
    const [one, two] = [before.get(field), now.get(field)]
    // What did not differ at first was the same in all three, and the change leaves it alone.
    const base = one === undefined ? null : one.base
    return { field, base, wanted: one === undefined ? null : one.wanted, latest: (two ?? one)?.latest }
  })
  return { ...last, baseVersion: first.baseVersion, differences }
}

/** Objects are looked into; lists and plain values are fields. */
function fieldsOf(value: unknown, path = ''): Map<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return path === '' ? new Map() : new Map([[path, value]])
  }
  const inner = Object.entries(value)
  if (inner.length === 0 && path !== '') return new Map([[path, value]])
  return new Map(inner.flatMap(([key, one]) => [...fieldsOf(one, path === '' ? key : `${path}.${key}`)]))
}

export const isSame = (one: unknown, other: unknown): boolean => Bun.deepEquals(one ?? null, other ?? null)
