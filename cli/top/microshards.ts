/** `sluice microshard top`: what a row knows of a microshard, and how it is shown. Pure. */

import type { MicroshardMeasure, NodeMeasure } from '../../controller/contract/microshard-measures.ts'
import { amount, milliseconds, percent } from './figures.ts'
import { sparkline } from './sparkline.ts'
import type { Tone, TopView } from './view.ts'

const trendColumns = 6
/** From where on it is worth a look, and where it is split by default. */
const warmOverMean = 1.5
const hotOverMean = 2
const errorShareMarked = 0.001

/** The headline tells of the nodes as they were read last. */
export const createMicroshardView = (nodes: () => readonly NodeMeasure[]): TopView<MicroshardMeasure> => ({
  headline: (rows) => [`${rows.length} microshards`, ...nodes().map(describeNode)].join(', '),
  columns: [
    { heading: 'ID', key: 'id', value: ({ from }) => from, cell: ({ id }) => ({ text: id }) },
    {
      heading: 'NODE',
      key: 'node',
      isFlexible: true,
      value: ({ node }) => node,
      cell: ({ node }) => ({ text: node ?? '-' }),
    },
    {
      heading: 'LOAD/S',
      key: 'load',
      isFigure: true,
      value: ({ load }) => load,
      cell: ({ load }) => ({ text: amount(load) }),
    },
    {
      heading: '×MEAN',
      isFigure: true,
      cell: ({ overMean }) => ({ text: overMean === null ? '-' : overMean.toFixed(1), tone: toneOfLoad(overMean) }),
    },
    {
      heading: 'TREND',
      dispensable: 5,
      cell: ({ history }) => ({ text: sparkline(history, trendColumns), tone: 'faint' }),
    },
    {
      heading: 'AHEAD',
      isFigure: true,
      dispensable: 4,
      cell: ({ expectedLoad }) => ({ text: amount(expectedLoad) }),
    },
    {
      heading: 'READ',
      key: 'reads',
      isFigure: true,
      dispensable: 3,
      value: ({ readShare }) => readShare,
      cell: ({ readShare }) => ({ text: percent(readShare === null ? null : 100 * readShare) }),
    },
    {
      heading: 'P50',
      isFigure: true,
      dispensable: 2,
      cell: ({ p50Milliseconds }) => ({ text: milliseconds(p50Milliseconds) }),
    },
    {
      heading: 'P99',
      key: 'latency',
      isFigure: true,
      value: ({ p99Milliseconds }) => p99Milliseconds,
      cell: ({ p99Milliseconds }) => ({ text: milliseconds(p99Milliseconds) }),
    },
    {
      heading: 'ERR/S',
      key: 'errors',
      isFigure: true,
      dispensable: 1,
      value: ({ errorsPerSecond }) => errorsPerSecond,
      cell: ({ errorsPerSecond }) => ({
        text: amount(errorsPerSecond),
        tone: errorsPerSecond > errorShareMarked ? 'bad' : 'well',
      }),
    },
    {
      heading: 'BYTES',
      key: 'bytes',
      isFigure: true,
      value: ({ bytes }) => bytes,
      cell: ({ bytes }) => ({ text: amount(bytes) }),
    },
    {
      heading: 'TOP CLIENT',
      isFigure: true,
      dispensable: 6,
      cell: ({ clients: [first] }) => ({
        text: first === undefined ? '-' : `${shorten(first.client)} ${amount(first.perSecond)}/s`,
        tone: 'faint',
      }),
    },
  ],
})

/** A project's id begins with its client, which tells it from most others. */
const shorten = (client: string) => client.slice(0, 11)

/** The second figure is of its processors. */
const describeNode = ({ name, load, cpuPercent }: NodeMeasure) => `${name} ${amount(load)}/s ${percent(cpuPercent)}`

function toneOfLoad(overMean: number | null): Tone {
  if (overMean === null || overMean < warmOverMean) return 'well'
  return overMean < hotOverMean ? 'doubtful' : 'bad'
}
