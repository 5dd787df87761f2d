/** `sluice host top`: what a row knows of a host, and how it is shown. Pure. */

import { amount, percent } from './figures.ts'
import { sparkline } from './sparkline.ts'
import type { Tone, TopView } from './view.ts'

/** Null: nobody has measured it. */
export interface HostRow {
  readonly id: string
  readonly name: string
  readonly status: string
  /** Of all its processors. */
  readonly cpuPercent: number | null
  /** The same over the last minutes, the newest last. */
  readonly cpuHistory: readonly (number | null)[]
  readonly memoryPercent: number | null
  readonly receivedBytesPerSecond: number | null
  readonly sentBytesPerSecond: number | null
  readonly instances: number
  readonly balancers: number
  /** Since its agent's last report. */
  readonly reportSecondsAgo: number | null
  readonly agentVersion: string | null
}

const trendColumns = 10
/** An agent reports once a second. */
const lateSeconds = 5
const busyPercent = 85

export const hostView: TopView<HostRow> = {
  headline: (rows) => {
    const unwell = rows.filter(({ status }) => status !== 'active').length
    return [
      `${rows.length} host${rows.length === 1 ? '' : 's'}`,
      ...(unwell === 0 ? [] : [`${unwell} not active`]),
      `${rows.reduce((total, { instances }) => total + instances, 0)} instances`,
    ].join(', ')
  },
  columns: [
    { heading: 'NAME', key: 'name', value: ({ name }) => name, isFlexible: true, cell: ({ name }) => ({ text: name }) },
    {
      heading: 'STATUS',
      key: 'status',
      dispensable: 1,
      value: ({ status }) => ['active', 'maintenance', 'awaiting-join', 'silent'].indexOf(status),
      cell: ({ status }) => ({ text: status, tone: statusTone(status) }),
    },
    {
      heading: 'CPU',
      key: 'cpu',
      isFigure: true,
      value: ({ cpuPercent }) => cpuPercent,
      cell: ({ cpuPercent }) => ({ text: percent(cpuPercent), tone: toneOfLoad(cpuPercent) }),
    },
    {
      heading: 'TREND',
      dispensable: 4,
      cell: ({ cpuHistory }) => ({ text: sparkline(cpuHistory, trendColumns), tone: 'faint' }),
    },
    {
      heading: 'MEM',
      key: 'memory',
      isFigure: true,
      value: ({ memoryPercent }) => memoryPercent,
      cell: ({ memoryPercent }) => ({ text: percent(memoryPercent), tone: toneOfLoad(memoryPercent) }),
    },
    {
      heading: 'IN B/S',
      key: 'received',
      isFigure: true,
      dispensable: 3,
      value: ({ receivedBytesPerSecond }) => receivedBytesPerSecond,
      cell: ({ receivedBytesPerSecond }) => ({ text: amount(receivedBytesPerSecond) }),
    },
    {
      heading: 'OUT B/S',
      key: 'sent',
      isFigure: true,
      dispensable: 3,
      value: ({ sentBytesPerSecond }) => sentBytesPerSecond,
      cell: ({ sentBytesPerSecond }) => ({ text: amount(sentBytesPerSecond) }),
    },
    {
      heading: 'INST',
      key: 'instances',
      isFigure: true,
      value: ({ instances }) => instances,
      cell: ({ instances }) => ({ text: String(instances) }),
    },
    { heading: 'LBS', isFigure: true, dispensable: 2, cell: ({ balancers }) => ({ text: String(balancers) }) },
    {
      heading: 'AGENT',
      key: 'agent',
      isFigure: true,
      value: ({ reportSecondsAgo }) => reportSecondsAgo,
      cell: ({ reportSecondsAgo }) => ({
        text: describeAge(reportSecondsAgo),
        tone: reportSecondsAgo === null || reportSecondsAgo > lateSeconds ? 'bad' : 'well',
      }),
    },
  ],
}

function statusTone(status: string): Tone {
  if (status === 'active') return 'well'
  return status === 'silent' ? 'bad' : 'doubtful'
}

const toneOfLoad = (share: number | null): Tone => ((share ?? 0) >= busyPercent ? 'doubtful' : 'well')

/** Since its last word. */
function describeAge(seconds: number | null): string {
  if (seconds === null) return 'never'
  if (seconds < 100) return `${Math.round(seconds)}s`
  return seconds < 6000 ? `${Math.round(seconds / 60)}m` : `${Math.round(seconds / 3600)}h`
}
