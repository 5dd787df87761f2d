/**
 * What hosts said last, as families of samples by the ecosystem's names: base units, `_total` where it counts up. What our
 * types of points have, and no more; the number of samples is bounded. Pure.
 */

import { type Measured, measuredOf } from '../../../agent/contract/point-names.ts'
import { type DataSource, isPointType, pointTypes } from '../../../agent/contract/point-types.ts'
import type { Family, Sample } from './exposition-text.ts'
import type { LatestReading } from './head.ts'

/** Of one scrape: three hundred balancers of ten members on two instances each are within it. */
export const samplesMaximum = 250_000
/** What has not been said for so many of its intervals is not so any more. */
const staleIntervals = 5

/** Where there is not room for all, members go first: there are most of them, and listeners have their sums. */
const order: readonly Measured['kind'][] = [
  'controller',
  'agent',
  'host',
  'network',
  'shard',
  'instance',
  'listener',
  'machine',
  'member',
]

export interface ExposedPoints {
  readonly families: readonly Family[]
  /** By what was measured, how many samples there was no room for. */
  readonly leftOut: ReadonlyMap<Measured['kind'], number>
}

/** @param projectId null: of all; else of that project alone. */
export function exposePoints(
  latest: Iterable<LatestReading>,
  options: { readonly now: number; readonly projectId: string | null; readonly samplesMaximum?: number },
): ExposedPoints {
  const { now, projectId } = options
  const room = options.samplesMaximum ?? samplesMaximum
  const wanted = [...latest].flatMap((reading) => {
    const measured = measuredOf(reading.name)
    if (measured === undefined || (projectId !== null && reading.holder.projectId !== projectId)) return []
    return now - reading.time > 1000 * staleIntervals * reading.intervalSeconds ? [] : [{ reading, measured }]
  })
  wanted.sort((a, b) => order.indexOf(a.measured.kind) - order.indexOf(b.measured.kind))
  const samples = new Map<string, Sample[]>()
  const leftOut = new Map<Measured['kind'], number>()
  let count = 0
  for (const { reading, measured } of wanted) {
    const { type } = reading.name
    if (!isPointType(type)) continue
    const known = reading.values.flatMap((value, column) => (Number.isNaN(value) ? [] : [column]))
    if (count + known.length > room) {
      leftOut.set(measured.kind, (leftOut.get(measured.kind) ?? 0) + known.length)
      continue
    }
    count += known.length
    const labels = describeLabels(measured, reading)
    for (const column of known) {
      const source = (pointTypes[type] as readonly DataSource[])[column]
      if (source === undefined) continue
      const key = `${type}.${source.name}`
      const list = samples.get(key) ?? []
      samples.set(key, list)
      list.push({ labels, value: scaleValue(reading.values[column] ?? 0, source.scale) })
    }
  }
  return { families: listFamilies(samples), leftOut }
}

/** A millionth is divided by a million: 0.1 s are no 0.09999999999999999. */
const scaleValue = (value: number, scale: number) => (scale < 1 ? value / Math.round(1 / scale) : value * scale)

function listFamilies(samples: ReadonlyMap<string, readonly Sample[]>): Family[] {
  return Object.entries(pointTypes).flatMap(([type, sources]: [string, readonly DataSource[]]) =>
    sources.map(
      (source): Family => ({
        name: nameFamily(type, source, sources),
        kind: source.kind === 'GAUGE' ? 'gauge' : 'counter',
        help: `${source.help}.`,
        samples: samples.get(`${type}.${source.name}`) ?? [],
      }),
    ),
  )
}

/** As others call them. */
const customary: Readonly<Record<string, string>> = {
  'host_load.one_minute': 'load1',
  'host_load.five_minutes': 'load5',
  'host_load.fifteen_minutes': 'load15',
}

/** Without `_total`. A level beside a count of the same name is the `current` one, since a name is of one family. */
export function nameFamily(type: string, { name, kind, unit }: DataSource, sources: readonly DataSource[]): string {
  const custom = customary[`${type}.${name}`]
  if (custom !== undefined) return `sluice_${type.replace(/_load$/, '')}_${custom}`
  const isCounted = sources.some((other) => other.kind !== 'GAUGE' && other.name === `${name}_total`)
  const bare = kind === 'GAUGE' ? (isCounted ? `current_${name}` : name) : name.replace(/_total$/, '')
  const ends = unit === 'count' || bare.endsWith(`_${unit}`) ? bare : `${bare}_${unit}`
  return `sluice_${type}_${ends}`
}

function describeLabels(measured: Measured, { name }: LatestReading): Record<string, string> {
  const { host, type, typeInstance } = name
  const part: Record<string, string> = typeInstance === '' ? {} : { [partLabels[type] ?? 'part']: typeInstance }
  switch (measured.kind) {
    case 'host':
    case 'agent':
    case 'controller':
      return { host, ...part }
    case 'network':
      return { host, project: measured.projectId, network: measured.networkId, ...part }
    case 'shard':
      return { project: measured.projectId, network: measured.networkId, shard: measured.shardId }
    case 'machine':
      return { host, project: measured.projectId, network: measured.networkId, machine: measured.machineId, ...part }
    case 'instance':
      return { ...describeInstance(measured, host), ...part }
    case 'listener':
      return { ...describeInstance(measured, host), port: String(measured.port) }
    case 'member': {
      const { port, memberId, server } = measured
      return { ...describeInstance(measured, host), port: String(port), member: memberId, server }
    }
    default:
      return measured satisfies never
  }
}

const partLabels: Readonly<Record<string, string>> = {
  device: 'device',
  host_disk: 'device',
  collectd_drops: 'reason',
}

/** `instance` alone is what Prometheus calls whom it scrapes. */
const describeInstance = (
  ids: { readonly projectId: string; readonly loadBalancerId: string; readonly instanceId: string },
  host: string,
) => ({ host, project: ids.projectId, load_balancer: ids.loadBalancerId, balancer_instance: ids.instanceId })
