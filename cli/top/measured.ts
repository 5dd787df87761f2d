/** Asks for what was measured of many objects, each no oftener than there is something new. */

import * as v from 'valibot'
import type { Api } from '../api.ts'

/** By measure, the newest last. */
export type Measured = ReadonlyMap<string, readonly (number | null)[]>

export interface MeasuredObjects {
  /** By id; one that nothing is known of is not in it. */
  read(ids: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, Measured>>
}

export const stepSeconds = 10
const stepsShown = 30
/** One more than the trend, since the last step is seldom whole. */
const from = `-${(stepsShown + 1) * stepSeconds}s`
const asksMaximum = 8

const answerSchema = v.object({
  series: v.array(v.object({ measure: v.string(), values: v.array(v.nullable(v.number())) })),
})

export interface MeasuredOptions {
  readonly api: Pick<Api, 'open'>
  readonly measures: readonly string[]
  /** Milliseconds by a clock that never jumps. */
  readonly now: () => number
  /** At one reading; of the others it tells what it knows. */
  readonly objectsMaximum: number
}

/** Asked for at one look: 320 objects in the time after which there is something new of each. */
export const objectsPerLook = 64

export function createMeasuredObjects(options: MeasuredOptions): MeasuredObjects {
  const { api, measures, now, objectsMaximum } = options
  const known = new Map<string, { readonly measured: Measured | undefined; readonly askedAt: number }>()
  const ask = async (object: string, signal: AbortSignal): Promise<Measured | undefined> => {
    const query = { object, measure: measures.join(','), from, to: 'now', step: `${stepSeconds}s` }
    try {
      const response = await api.open({ method: 'GET', path: '/v1/metrics', query }, signal)
      const { series } = v.parse(answerSchema, await response.json())
      return new Map(series.map(({ measure, values }) => [measure, values]))
    } catch {
      // Who it is and how it fares is shown without its figures.
      return undefined
    }
  }
  return {
    async read(ids, signal) {
      const wanted = new Set(ids)
      for (const id of [...known.keys()]) if (!wanted.has(id)) known.delete(id)
      const askedAt = (id: string) => known.get(id)?.askedAt ?? Number.NEGATIVE_INFINITY
      // Those of which nothing is known yet, then the oldest.
      const waiting = ids
        .filter((id) => now() - askedAt(id) >= stepSeconds * 1000)
        .toSorted((a, b) => compare(askedAt(a), askedAt(b)))
        .slice(0, objectsMaximum)
      const work = async () => {
        for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
          known.set(id, { measured: await ask(id, signal), askedAt: now() })
        }
      }
      await Promise.all(Array.from({ length: asksMaximum }, work))
      return new Map(
        [...known].flatMap(([id, { measured }]) => (measured === undefined ? [] : [[id, measured] as const])),
      )
    },
  }
}

/** Two that were never asked for are equal, and not a difference of infinities. */
const compare = (a: number, b: number) => (a === b ? 0 : a < b ? -1 : 1)

/** How many steps back the newest that is known may be: what is older says nothing of now. */
const freshSteps = 4

/** Pure. Null: nothing is known of now. */
export function latest(values: readonly (number | null)[] | undefined): number | null {
  return values?.slice(-freshSteps).findLast((value) => value !== null) ?? null
}

/** As many means as are shown, of neighbouring steps. Pure. */
export function condense(values: readonly (number | null)[] | undefined, count: number): (number | null)[] {
  if (values === undefined) return []
  const recent = values.slice(-stepsShown)
  const size = Math.ceil(recent.length / count)
  const groups = Array.from({ length: Math.ceil(recent.length / Math.max(1, size)) }, (_, i) => {
    const end = recent.length - i * size
    return recent.slice(Math.max(0, end - size), end).filter((value) => value !== null)
  }).reverse()
  return groups.map((known) =>
    known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length,
  )
}
