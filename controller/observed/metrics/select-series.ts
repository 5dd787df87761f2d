/** Which series of a holder answer a question, which of their data sources, and how they are told apart. Pure. */

import type { TypeSource } from '../../../agent/contract/collectd/types-db.ts'
import { type Measured, measuredOf } from '../../../agent/contract/point-names.ts'
import { type DataSource, isPointType, pointTypes } from '../../../agent/contract/point-types.ts'
import { type Aggregation, type Grouping, type Measure, type MeasuredKind, measures } from '../../contract/metrics.ts'
import { type SeriesName, sourcesOf } from './series.ts'

/** What is asked for, within the blocks of one holder. */
export interface Subject {
  readonly holder: string
  /** The finest that are added up come last: of a balancer, what its instances say counts before what members do. */
  readonly kinds: readonly MeasuredKind[]
  /** True for the series that belong to it. */
  readonly includes: (measured: Measured) => boolean
  /** What others measure, as a collectd of the host or of the project, is its own as well. */
  readonly includesForeign?: boolean
}

/** One measure of a subject: whose series, and what of them. */
export interface Selection {
  readonly measure: string
  readonly unit: string
  readonly aggregation: Aggregation
  /** Of which its series are. */
  readonly types: ReadonlySet<string>
  /** Null: it is none of them. */
  match(name: SeriesName): Match | null
}

export interface Match {
  /** By the index of the data source. */
  readonly columns: readonly number[]
  /** A value times this is in the unit of the measure. */
  readonly factor: number
  readonly group: Readonly<Record<string, string>>
}

/** Null: there is no such measure of it. */
export function selectSeries(measure: string, subject: Subject, by: Grouping | undefined): Selection | null {
  const isKnown = Object.hasOwn(measures, measure)
  const [type = '', source] = measure.split('.')
  if (!isKnown && (source === undefined || !hasSource(type, source))) return null
  const described: Measure = isKnown ? measures[measure as keyof typeof measures] : describeRaw(type, measure)
  const kinds = kindsBelow(subject.kinds, by)
  const kind = isKnown ? kinds.find((one) => described.sources[one] !== undefined) : undefined
  if (isKnown && kind === undefined) return null
  const wanted = new Set(kind === undefined ? [measure] : described.sources[kind])
  const columnsOf = (name: SeriesName) => listColumns(name.type).filter(({ word }) => wanted.has(word))
  return {
    measure,
    unit: described.unit,
    aggregation: described.aggregation,
    types: new Set([...wanted].map((word) => word.split('.')[0] ?? '')),
    match(name) {
      const columns = columnsOf(name)
      const [first] = columns
      if (first === undefined || !isOfSubject(subject, kind === undefined ? kinds : [kind], measuredOf(name)))
        return null
      return {
        columns: columns.map(({ column }) => column),
        factor: first.scale * (described.factor ?? 1),
        group: by === undefined ? {} : groupOf(by, measuredOf(name), name),
      }
    },
  }
}

function isOfSubject(subject: Subject, kinds: readonly MeasuredKind[], measured: Measured | undefined): boolean {
  if (measured === undefined) return subject.includesForeign === true
  return kinds.includes(measured.kind) && subject.includes(measured)
}

/** One that is asked for by member is made of what is said of members. */
function kindsBelow(kinds: readonly MeasuredKind[], by: Grouping | undefined): readonly MeasuredKind[] {
  if (by === 'listener') return kinds.filter((kind) => kind === 'listener' || kind === 'member')
  return by === 'member' ? kinds.filter((kind) => kind === 'member') : kinds
}

function groupOf(by: Grouping, measured: Measured | undefined, name: SeriesName): Record<string, string> {
  switch (by) {
    case 'instance':
      return measured !== undefined && 'instanceId' in measured ? { instance: measured.instanceId } : {}
    case 'listener':
      return measured !== undefined && 'port' in measured ? { listener: String(measured.port) } : {}
    case 'member':
      return measured?.kind === 'member' ? { member: measured.memberId } : {}
    case 'host':
      return { host: name.host }
    case 'device':
      return { device: name.typeInstance }
    case 'source':
      return {
        host: name.host,
        plugin: name.plugin,
        pluginInstance: name.pluginInstance,
        typeInstance: name.typeInstance,
      }
    default:
      return by satisfies never
  }
}

interface Column {
  readonly column: number
  /** `<type>.<data source>`. */
  readonly word: string
  readonly source: TypeSource
  readonly unit: string
  readonly scale: number
  readonly help: string
}

const columnsOfTypes = new Map<string, readonly Column[]>()

function listColumns(type: string): readonly Column[] {
  const known = columnsOfTypes.get(type)
  if (known !== undefined) return known
  const own: readonly DataSource[] = isPointType(type) ? pointTypes[type] : []
  const columns = sourcesOf(type).map((source, column): Column => {
    const { unit = 'count', scale = 1, help = '' } = own[column] ?? {}
    return { column, word: `${type}.${source.name}`, source, unit, scale, help }
  })
  // A type that nobody knows is not remembered: anybody may make up names.
  if (columns.length > 0) columnsOfTypes.set(type, columns)
  return columns
}

const hasSource = (type: string, source: string) => listColumns(type).some(({ word }) => word === `${type}.${source}`)

/** What has no word is in its base unit, and a rate where it counts up. */
function describeRaw(type: string, measure: string): Measure {
  const found = listColumns(type).find(({ word }) => word === measure)
  const unit = found?.unit ?? 'count'
  const isCounter = found?.source.kind !== 'GAUGE'
  return {
    unit: isCounter ? `${unit}/s` : unit,
    help: found?.help ?? '',
    aggregation: isCounter || unit === 'count' || unit === 'bytes' ? 'sum' : 'mean',
    sources: {},
  }
}
