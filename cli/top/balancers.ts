/** `sluice load-balancer top`: what a row knows of a balancer, and how it is shown. Pure. */

import { amount, milliseconds, ofAll, percent } from './figures.ts'
import { sparkline } from './sparkline.ts'
import type { Tone, TopView } from './view.ts'

/** Null: nobody has measured it. */
export interface BalancerRow {
  readonly id: string
  readonly name: string
  readonly status: string
  readonly trafficType: string
  /** Of tcp connections that were begun. */
  readonly requestsPerSecond: number | null
  /** The same over the last minutes, the newest last. */
  readonly requestHistory: readonly (number | null)[]
  readonly connections: number | null
  /** Answered 5xx, or not at all. */
  readonly errorsPerSecond: number | null
  readonly latencyMilliseconds: number | null
  readonly membersHealthy: number
  readonly members: number
  readonly instancesServing: number
  readonly instances: number
  /** Of the processors that all its instances may use. */
  readonly cpuPercent: number | null
}

const trendColumns = 10

export const balancerView: TopView<BalancerRow> = {
  headline: (rows) =>
    [
      `${rows.length} load balancer${rows.length === 1 ? '' : 's'}`,
      ...describeUnwell(rows),
      ...describeSum(rows, 'requests/s', ({ requestsPerSecond }) => requestsPerSecond),
      ...describeSum(rows, 'errors/s', ({ errorsPerSecond }) => errorsPerSecond),
    ].join(', '),
  columns: [
    { heading: 'NAME', key: 'name', value: ({ name }) => name, isFlexible: true, cell: ({ name }) => ({ text: name }) },
    {
      heading: 'STATUS',
      key: 'status',
      dispensable: 1,
      value: ({ status }) => statusRank(status),
      cell: ({ status }) => ({ text: status, tone: statusTone(status) }),
    },
    {
      heading: 'REQ/S',
      key: 'requests',
      isFigure: true,
      value: ({ requestsPerSecond }) => requestsPerSecond,
      cell: ({ requestsPerSecond }) => ({ text: amount(requestsPerSecond) }),
    },
    {
      heading: 'TREND',
      dispensable: 5,
      cell: ({ requestHistory }) => ({ text: sparkline(requestHistory, trendColumns), tone: 'faint' }),
    },
    {
      heading: 'CONN',
      key: 'connections',
      isFigure: true,
      dispensable: 3,
      value: ({ connections }) => connections,
      cell: ({ connections }) => ({ text: amount(connections) }),
    },
    {
      heading: 'ERR/S',
      key: 'errors',
      isFigure: true,
      value: ({ errorsPerSecond }) => errorsPerSecond,
      cell: ({ errorsPerSecond }) => ({
        text: amount(errorsPerSecond),
        tone: errorsPerSecond !== null && errorsPerSecond >= 0.05 ? 'bad' : 'well',
      }),
    },
    {
      heading: 'LAT',
      key: 'latency',
      isFigure: true,
      dispensable: 2,
      value: ({ latencyMilliseconds }) => latencyMilliseconds,
      cell: ({ latencyMilliseconds }) => ({ text: milliseconds(latencyMilliseconds) }),
    },
    {
      heading: 'UP',
      key: 'members',
      isFigure: true,
      value: ({ membersHealthy, members }) => members - membersHealthy,
      cell: ({ membersHealthy, members }) => ({
        text: ofAll(membersHealthy, members),
        tone: toneOfShare(membersHealthy, members),
      }),
    },
    {
      heading: 'INST',
      isFigure: true,
      dispensable: 4,
      cell: ({ instancesServing, instances }) => ({
        text: ofAll(instancesServing, instances),
        tone: toneOfShare(instancesServing, instances),
      }),
    },
    {
      heading: 'CPU',
      key: 'cpu',
      isFigure: true,
      dispensable: 3,
      value: ({ cpuPercent }) => cpuPercent,
      cell: ({ cpuPercent }) => ({ text: percent(cpuPercent), tone: (cpuPercent ?? 0) >= 85 ? 'doubtful' : 'well' }),
    },
  ],
}

function describeSum(
  rows: readonly BalancerRow[],
  unit: string,
  of: (row: BalancerRow) => number | null,
): readonly string[] {
  const known = rows.map(of).filter((value) => value !== null)
  if (known.length === 0) return []
  return [`${amount(known.reduce((total, value) => total + value, 0))} ${unit}`]
}

function describeUnwell(rows: readonly BalancerRow[]): readonly string[] {
  return ['failed', 'degraded'].flatMap((status) => {
    const count = rows.filter((row) => row.status === status).length
    return count === 0 ? [] : [`${count} ${status}`]
  })
}

/** What needs a look first. */
const statusRank = (status: string) => ['active', 'deleting', 'provisioning', 'degraded', 'failed'].indexOf(status)

function statusTone(status: string): Tone {
  if (status === 'failed') return 'bad'
  return status === 'active' ? 'well' : 'doubtful'
}

function toneOfShare(some: number, all: number): Tone {
  if (some >= all) return 'well'
  return some === 0 ? 'bad' : 'doubtful'
}
