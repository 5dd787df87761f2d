/**
 * Decides which points of a collectd are taken: those that their sender may speak of, of a known type, of a plausible time,
 * newer than what was there, and of no more series than a sender may have. What is refused is counted by its reason.
 * It remembers series; it touches nothing.
 */

import { ownPluginPrefix } from '../point-names.ts'
import { nameCharactersMaximum, type Point, seriesKey, valuesMaximum } from '../points.ts'
import type { ValueList } from './packet-parts.ts'
import type { KnownTypes, TypeSource } from './types-db.ts'

/** Why a point was not taken. */
export const dropReasons = [
  /** It is of a host that its sender may not speak for. */
  'foreignHost',
  /** Its plugin is one of ours. */
  'reservedPlugin',
  /** A name is empty, too long, or has characters that no name has. */
  'badName',
  /** No types.db has it. */
  'unknownType',
  /** There are more or fewer values than its type has, or of other kinds. */
  'wrongValues',
  /** None of its values is known (NaN), or one is infinite, or a counter that is no whole number. */
  'badValue',
  'future',
  /** It is older than what may be late, or than this program. */
  'past',
  /** The series has a point of that time, or a later one: it was sent twice, or by somebody who listened. */
  'replayed',
  'tooManySeries',
] as const
export type DropReason = (typeof dropReasons)[number]

/** One who sends: all points of a packet or a request are its. */
export interface Sender {
  /** Names whose series are counted together. */
  readonly key: string
  readonly maySpeakFor: (host: string) => boolean
}

export interface AdmissionOptions {
  readonly types: KnownTypes
  /** Of one sender. */
  readonly seriesMaximum: number
  readonly unixSeconds: () => number
}

/** Somebody has more series than it may. */
export interface Explosion {
  readonly sender: string
  /** The plugin and its instance that have the most of them, as `plugin-instance`. */
  readonly culprit: string
  readonly culpritSeries: number
  readonly series: number
  /** Points, since this was asked before. */
  readonly refused: number
}

export interface Admission {
  admit(lists: readonly ValueList[], sender: Sender): readonly Point[]
  /** Counts something that never got as far as a point. */
  drops(): ReadonlyMap<DropReason, number>
  /** Series that are known now. */
  seriesCount(): number
  /** Of those who were refused series since this was asked before. */
  takeExplosions(): readonly Explosion[]
}

/** A clock of another machine may be ahead by so much. */
export const aheadSecondsMaximum = 60
/** collectd holds values back for a moment, no longer. */
export const lateSecondsMaximum = 300
/** A series of which nothing has come for so long makes room; longer than what may be late, so that no replay fits in. */
const forgetSeconds = 2 * lateSecondsMaximum
/** All series are looked through for such as this often, and when there is no room. */
const sweepSeconds = 60

interface KnownSeries {
  readonly sources: readonly TypeSource[]
  timeSeconds: number
  seenAt: number
}

interface KnownSender {
  readonly series: Map<string, KnownSeries>
  sweptAt: number
  /** Points of series that there was no room for, since that was told. */
  refused: number
}

export function createAdmission({ types, seriesMaximum, unixSeconds }: AdmissionOptions): Admission {
  const senders = new Map<string, KnownSender>()
  const drops = new Map<DropReason, number>()
  // Whatever was measured before was sent to a program before this one, which has taken it if it came in time.
  const startedAt = unixSeconds()

  const judge = (list: ValueList, sender: Sender, known: KnownSender, now: number): DropReason | undefined => {
    if (!sender.maySpeakFor(list.host)) return 'foreignHost'
    const key = seriesKey(list)
    const series = known.series.get(key)
    // The names of a series that is known have been judged before.
    const fault = series === undefined ? judgeNames(list) : undefined
    if (fault !== undefined) return fault
    const sources = series?.sources ?? types.get(list.type)
    if (sources === undefined) return 'unknownType'
    const trouble = judgeValues(list, sources) ?? judgeTime(list, now)
    if (trouble !== undefined) return trouble
    if (series === undefined) return beginSeries(known, key, { sources, timeSeconds: list.timeSeconds, seenAt: now })
    // After a clock that was ahead has been put right, what it said shuts nobody out.
    const isPlausible = series.timeSeconds <= now + aheadSecondsMaximum
    if (isPlausible && list.timeSeconds <= series.timeSeconds) return 'replayed'
    series.timeSeconds = list.timeSeconds
    series.seenAt = now
    return undefined
  }

  const judgeTime = ({ timeSeconds }: ValueList, now: number): DropReason | undefined => {
    if (timeSeconds > now + aheadSecondsMaximum) return 'future'
    // A clock that was set back makes now earlier than the start.
    const isBeforeStart = startedAt <= now && timeSeconds < startedAt
    return isBeforeStart || timeSeconds < now - lateSecondsMaximum ? 'past' : undefined
  }

  const beginSeries = (known: KnownSender, key: string, series: KnownSeries): DropReason | undefined => {
    if (known.series.size >= seriesMaximum) sweep(known, series.seenAt)
    if (known.series.size >= seriesMaximum) {
      known.refused += 1
      return 'tooManySeries'
    }
    known.series.set(key, series)
    return undefined
  }

  const recall = (key: string): KnownSender => {
    const known = senders.get(key) ?? { series: new Map(), sweptAt: Number.NEGATIVE_INFINITY, refused: 0 }
    senders.set(key, known)
    return known
  }

  return {
    admit(lists, sender) {
      const known = recall(sender.key)
      const now = unixSeconds()
      const taken: Point[] = []
      for (const list of lists) {
        const reason = judge(list, sender, known, now)
        if (reason !== undefined) drops.set(reason, (drops.get(reason) ?? 0) + 1)
        else taken.push(list)
      }
      return taken
    },
    drops: () => drops,
    seriesCount: () => [...senders.values()].reduce((total, { series }) => total + series.size, 0),
    takeExplosions() {
      return [...senders].flatMap(([sender, known]) => {
        const { refused } = known
        if (refused === 0) return []
        known.refused = 0
        return [{ sender, series: known.series.size, refused, ...findCulprit(known) }]
      })
    },
  }
}

/** No oftener than now and then, since it looks at all of them. */
function sweep(known: KnownSender, now: number): void {
  if (Math.abs(now - known.sweptAt) < sweepSeconds) return
  known.sweptAt = now
  for (const [key, { seenAt }] of known.series) if (Math.abs(now - seenAt) > forgetSeconds) known.series.delete(key)
}

function findCulprit({ series }: KnownSender): { readonly culprit: string; readonly culpritSeries: number } {
  const counts = new Map<string, number>()
  for (const key of series.keys()) {
    const [, plugin = '', instance = ''] = key.split('/')
    const name = instance === '' ? plugin : `${plugin}-${instance}`
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  const [culprit = '', culpritSeries = 0] = [...counts].toSorted(([, a], [, b]) => b - a)[0] ?? []
  return { culprit, culpritSeries }
}

function judgeNames({ host, plugin, pluginInstance, type, typeInstance }: ValueList): DropReason | undefined {
  if (plugin.startsWith(ownPluginPrefix)) return 'reservedPlugin'
  const isNamed = host !== '' && plugin !== '' && type !== ''
  const isGood = isNamed && [host, plugin, pluginInstance, type, typeInstance].every(isGoodName)
  return isGood ? undefined : 'badName'
}

// What parts the names of a series, and what can't be seen, is in no name.
const badCharacters = /[\p{Cc}\p{Cs}/]/u
const isGoodName = (name: string) => name.length <= nameCharactersMaximum && !badCharacters.test(name)

function judgeValues(list: ValueList, sources: readonly TypeSource[]): DropReason | undefined {
  const { values, kinds, timeSeconds, intervalSeconds } = list
  if (values.length !== sources.length || kinds.length !== values.length) return 'wrongValues'
  if (values.length > valuesMaximum) return 'wrongValues'
  if (!(intervalSeconds >= 0 && Number.isFinite(intervalSeconds) && Number.isFinite(timeSeconds))) return 'badValue'
  let known = 0
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index] ?? Number.NaN
    if (kinds[index] !== sources[index]?.kind) return 'wrongValues'
    const isGood = kinds[index] === 'GAUGE' ? Math.abs(value) !== Number.POSITIVE_INFINITY : Number.isInteger(value)
    if (!isGood) return 'badValue'
    if (!Number.isNaN(value)) known += 1
  }
  return known === 0 ? 'badValue' : undefined
}
