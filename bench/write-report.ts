#!/usr/bin/env bun
/** Writes docs/measurements.md from bench/results, so that no figure in it was copied by hand: `bun bench/write-report.ts`. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { type Result, resultsFolder } from './result.ts'
import { show } from './statistics.ts'

const page = new URL('../docs/measurements.md', import.meta.url).pathname
const benches = [
  'create',
  'gap',
  'gap-100',
  'life',
  'failed-requests',
  'migrate',
  'drain',
  'scale',
  'fleet',
  'throughput',
  'allocate',
  'pool-size',
  'defragment',
  'scaling',
  'scaling-ahead',
  'crowd',
  'names',
  'provider',
  'provider-100',
  'provider-500',
  'anomalies',
  'next-action',
  'access-log',
] as const

const introduction = `# Measurements

Every figure here was taken together with its floor: the same thing done without us, in the same run and in turns, so that a slow or busy machine is slow for both. Ratios and medians say more than the
figures themselves. The floor is [\`bench/floor/by-hand.sh\`](../bench/floor/by-hand.sh), a bare shell script that builds three hosts, a network and machines of its own, and a balancer of two instances with
the settings that the measured instance really had (they are read from its running daemons). One prober, on one clock, watches both.

\`\`\`sh
bun bench/main.ts create --times 50
bun bench/main.ts gap --times 20 --stress-minutes 10
bun bench/main.ts gap --times 5 --balancers 100
bun bench/main.ts life --times 30
bun bench/main.ts failed-requests --requests 120000
bun bench/main.ts migrate --machines 200
bun bench/main.ts drain
bun bench/main.ts scale
bun bench/main.ts fleet              # to 300 load balancers; --balancers 30 for a short one
bun bench/main.ts throughput
scripts/setup-bench                  # builds etcd, which allocate is measured against
bun bench/main.ts allocate
bun bench/main.ts pool-size
bun bench/main.ts defragment
bun bench/main.ts names
bun bench/main.ts access-log
bun bench/main.ts provider           # 1, 10, 100 and 500 load balancers; --balancers 10 for the small ones alone
bun bench/main.ts scaling-ahead --times 6
SLUICE_SERIES=…/nab bun bench/main.ts anomalies
SLUICE_ACTIONS=…/actions bun bench/main.ts next-action
bun bench/write-report.ts            # writes this page from bench/results
\`\`\`

Each runs in a sandbox with a lab of its own, beside which another lab may run. Percentiles are nearest-rank: with twenty samples the p99 is the largest. Raw samples are in \`bench/results/*.json\`.
`

function describe(result: Result): string {
  const { bench, title, machine, versions, measuredAt, durationSeconds, series, ratios, aims, notes } = result
  const rows = series.flatMap(({ name, unit, summary, isFloor }) =>
    summary === null
      ? []
      : [
          `| ${isFloor ? `*${name}*` : name} | ${unit} | ${summary.count} | ${[summary.p50, summary.p99, summary.maximum].map(show).join(' | ')} |`,
        ],
  )
  return [
    `## ${title}`,
    `![${title}](../bench/results/${bench}.svg)`,
    ['| aim | measured | |', '|---|---|---|', ...aims.map(describeAim)].join('\n'),
    ['| | unit | samples | p50 | p99 | max |', '|---|---|---|---|---|---|', ...rows].join('\n'),
    ...(ratios.length === 0
      ? []
      : [ratios.map(({ name, value }) => `- Ratio, ${name}: **${value.toFixed(2)}**`).join('\n')]),
    notes.map((note) => `- ${note}`).join('\n'),
    `Measured ${measuredAt.slice(0, 16).replace('T', ' ')} UTC in ${Math.ceil(durationSeconds / 60)} minutes; ${machine.cores} cores of ${machine.processor}, ${machine.memoryMebibytes} MiB, Linux ${machine.kernel}, ${machine.system}; sluice ${versions.sluice}, Bun ${versions.bun}, ${versions.haproxy?.split(' ').slice(0, 3).join(' ')}, ${versions.keepalived?.split(' ').slice(0, 2).join(' ')}, ${versions.natsServer}. Floors are in italics.`,
  ].join('\n\n')
}

const describeAim = ({ aim, measured, unit, met }: Result['aims'][number]) =>
  `| ${aim} | ${show(measured)} ${unit} | ${met ? 'met' : '**not met**'} |`

interface StoreResult {
  readonly measuredAt: string
  readonly results: readonly {
    readonly shape: string
    readonly inFlight: number
    readonly store: { readonly perSecond: number; readonly p50Milliseconds: number }
    readonly jetStream: { readonly perSecond: number; readonly p50Milliseconds: number }
    readonly ratio: number
  }[]
}

function describeStore({ measuredAt, results }: StoreResult): string {
  const rows = results.map(
    ({ shape, inFlight, store, jetStream, ratio }) =>
      `| ${shape} | ${inFlight} | ${store.perSecond} | ${store.p50Milliseconds} | *${jetStream.perSecond}* | *${jetStream.p50Milliseconds}* | ${ratio} |`,
  )
  return [
    "## The store's transactions against JetStream itself",
    [
      '| one transaction | in flight | per second | p50 ms | *JetStream* | *p50 ms* | ratio |',
      '|---|---|---|---|---|---|---|',
      ...rows,
    ].join('\n'),
    `Measured ${measuredAt.slice(0, 10)} by \`bun bench/store.ts\`.`,
  ].join('\n\n')
}

function readResult<Shape>(name: string): Shape[] {
  const path = `${resultsFolder}/${name}.json`
  return existsSync(path) ? [JSON.parse(readFileSync(path, 'utf8')) as Shape] : []
}

const sections = [
  ...benches.flatMap((name) => readResult<Result>(name)).map(describe),
  ...readResult<StoreResult>('store').map(describeStore),
]
writeFileSync(page, `${[introduction.trimEnd(), ...sections].join('\n\n')}\n`)
process.stdout.write(`${page}: ${sections.length} sections\n`)
