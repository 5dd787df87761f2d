/** How a series is named here: by collectd's five names, as points are. What its values mean; whose block it is in. Pure. */

import { knownTypes, type TypeSource } from '../../../agent/contract/collectd/types-db.ts'
import { type Measured, measuredOf } from '../../../agent/contract/point-names.ts'
import type { DataSourceKind, Point, PointOrigin } from '../../../agent/contract/points.ts'
import type { SeriesKind } from './increase.ts'

/** All values of one source: its columns are the data sources of its type. */
export type SeriesName = Pick<Point, 'host' | 'plugin' | 'pluginInstance' | 'type' | 'typeInstance'>

/** No name holds it, as those that do are refused. */
const separator = '\0'

export const seriesKeyOf = ({ host, plugin, pluginInstance, type, typeInstance }: SeriesName): string =>
  `${host}${separator}${plugin}${separator}${pluginInstance}${separator}${type}${separator}${typeInstance}`

/** A type is part of the subject of its blocks. */
export const isPlainName = (name: SeriesName): boolean =>
  seriesKeyOf(name).split(separator).length === 5 && /^[\w-]+$/.test(name.type)

const types = knownTypes([])

/** The data sources of a type; none: nobody here knows it. */
export const sourcesOf = (type: string): readonly TypeSource[] => types.get(type) ?? []

/** How each column of a type is read. Of types that nobody knows they are levels. */
export function kindsOf(type: string, width: number): SeriesKind[] {
  const sources = sourcesOf(type)
  return Array.from({ length: width }, (_, i) => toSeriesKind(sources[i]?.kind ?? 'GAUGE'))
}

function toSeriesKind(kind: DataSourceKind): SeriesKind {
  switch (kind) {
    case 'GAUGE':
      return 'gauge'
    case 'DERIVE':
      return 'derive'
    case 'COUNTER':
      return 'counter'
    case 'ABSOLUTE':
      return 'absolute'
    default:
      return kind satisfies never
  }
}

/** Where the points of a series are kept together: whatever is asked of one object is of one holder. */
export interface Holder {
  /** An id, the name of a host, or `controller`. */
  readonly name: string
  /** Whose it is; null: the rack's. */
  readonly projectId: string | null
}

/** Whose blocks a series is in: one measure is in those of one type, and what members say is most of all there is. */
export const ownerOfBlock = (holder: string, type: string): string => `${holder}.${type}`

export function holderOf(origin: PointOrigin, name: SeriesName): Holder {
  const measured = measuredOf(name)
  const own = measured === undefined ? undefined : holderOfMeasured(measured, name.host)
  // A project's own collectd speaks of whatever it likes, but of nobody's objects.
  if (origin.kind === 'project') return { name: origin.projectId, projectId: origin.projectId }
  return own ?? { name: origin.kind === 'host' ? origin.host : 'controller', projectId: null }
}

function holderOfMeasured(measured: Measured, host: string): Holder {
  switch (measured.kind) {
    case 'instance':
    case 'listener':
    case 'member':
      return { name: measured.loadBalancerId, projectId: measured.projectId }
    case 'network':
    case 'machine':
      return { name: measured.networkId, projectId: measured.projectId }
    case 'shard':
      return { name: measured.shardId, projectId: measured.projectId }
    case 'host':
    case 'agent':
      return { name: host, projectId: null }
    case 'controller':
      return { name: 'controller', projectId: null }
    default:
      return measured satisfies never
  }
}
