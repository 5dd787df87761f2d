#!/usr/bin/env bun
/**
 * `bun bench/main.ts <bench>|all`: runs benches, each in a sandbox of its own, so that it meets no other lab and leaves
 * nothing, and writes bench/results; `--help` tells which there are. The only place of this room that exits.
 */

import { Command, InvalidArgumentError } from 'commander'
import { accessLog } from './access-log.ts'
import { allocate } from './allocate.ts'
import { anomalies } from './anomalies.ts'
import type { Bench, BenchOptions } from './bench.ts'
import { collectdIngest } from './collectd-ingest.ts'
import { conditionalWrites } from './conditional-writes.ts'
import { create } from './create.ts'
import { crowd } from './crowd.ts'
import { defragment } from './defragment.ts'
import { drain } from './drain.ts'
import { failedRequests } from './failed-requests.ts'
import { fleet } from './fleet.ts'
import { forecast } from './forecast.ts'
import { gap } from './gap.ts'
import { life } from './life.ts'
import { metrics } from './metrics.ts'
import { microshardCount } from './microshard-count.ts'
import { microshardPause } from './microshard-pause.ts'
import { migrate } from './migrate.ts'
import { migrationPolicies } from './migration-policies.ts'
import { names as namesBench } from './names.ts'
import { nextAction } from './next-action.ts'
import { poolSize } from './pool-size.ts'
import { prefetch } from './prefetch.ts'
import { provider } from './provider.ts'
import { makeResult, type Result, resultsFolder, writeResult } from './result.ts'
import { scale } from './scale.ts'
import { scaling } from './scaling.ts'
import { scalingAhead } from './scaling-ahead.ts'
import { stackSync } from './stack-sync.ts'
import { show } from './statistics.ts'
import { createCleanup } from './system/cleanup.ts'
import { throughput } from './throughput.ts'

const benches: Readonly<Record<string, Bench>> = {
  create,
  gap,
  life,
  'failed-requests': failedRequests,
  drain,
  migrate,
  scale,
  fleet,
  throughput,
  allocate,
  'conditional-writes': conditionalWrites,
  'pool-size': poolSize,
  defragment,
  scaling,
  'scaling-ahead': scalingAhead,
  crowd,
  forecast,
  anomalies,
  names: namesBench,
  metrics,
  'access-log': accessLog,
  provider,
  'collectd-ingest': collectdIngest,
  'microshard-pause': microshardPause,
  'microshard-count': microshardCount,
  'migration-policies': migrationPolicies,
  'stack-sync': stackSync,
  'next-action': nextAction,
  prefetch,
}

interface Options extends BenchOptions {
  readonly results: string
}

const tell = (text: string) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`)

async function runHere(name: string, bench: Bench, options: Options): Promise<void> {
  const cleanup = createCleanup(tell)
  const end = () => {
    void cleanup.run().then(() => process.exit(130))
  }
  process.once('SIGINT', end)
  process.once('SIGTERM', end)
  const startedAt = new Date()
  try {
    const findings = await bench.run({ options, cleanup, tell })
    const result = makeResult(
      options.balancers === 1 ? name : `${name}-${options.balancers}`,
      findings,
      startedAt,
      new Date(),
    )
    const files = writeResult(result, bench.plot(result), options.results)
    process.stdout.write(`${describeResult(result)}\n${files.join('\n')}\n`)
  } finally {
    await cleanup.run()
  }
}

function describeResult({ bench, series, ratios, aims }: Result): string {
  const rows = series.flatMap(({ name, unit, summary }) => {
    if (summary === null) return [`  ${name}: no samples`]
    const { count, p50, p99, maximum } = summary
    return [`  ${name}: p50 ${show(p50)} p99 ${show(p99)} max ${show(maximum)} ${unit} (${count})`]
  })
  return [
    bench,
    ...rows,
    ...ratios.map(({ name, value }) => `  ${name}: ${value.toFixed(3)}`),
    ...aims.map(({ aim, measured, unit, met }) => `  ${met ? 'met' : 'NOT MET'}: ${aim} – ${show(measured)} ${unit}`),
  ].join('\n')
}

/** One at a time, each in a sandbox; true when all of them came to an end. */
async function runInSandboxes(names: readonly string[]): Promise<boolean> {
  const folder = new URL('..', import.meta.url).pathname
  let isGood = true
  for (const name of names) {
    const rest = process.argv.slice(2).filter((word) => word !== 'all' && word !== name)
    const argv = [`${folder}scripts/sandbox`, process.execPath, import.meta.path, name, ...rest]
    // A group of its own: its end takes the sandbox with all that runs in it, and then the sandbox's files.
    const child = Bun.spawn(argv, { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'], detached: true })
    const end = () => process.kill(-child.pid, 'SIGTERM')
    process.once('SIGINT', end)
    process.once('SIGTERM', end)
    isGood = (await child.exited) === 0 && isGood
    process.off('SIGINT', end)
    process.off('SIGTERM', end)
    if (child.signalCode !== null) return false
  }
  return isGood
}

function parseCount(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 1) return count
  throw new InvalidArgumentError('It must be a whole number, 1 or more.')
}

function parseMinutes(text: string): number {
  const minutes = Number(text)
  if (Number.isFinite(minutes) && minutes >= 0) return minutes
  throw new InvalidArgumentError('It must be a number of minutes, 0 or more.')
}

const names = Object.keys(benches)

await new Command('bench')
  .description(
    `Measures the system in a lab of its own.\n${names.map((name) => `  ${name}: ${benches[name]?.summary}`).join('\n')}`,
  )
  .argument('<bench>', [...names, 'all'].join(', '))
  .option('--times <N>', 'how often the measured thing is done', parseCount)
  .option(
    '--balancers <N>',
    'how many load balancers there are in gap, and at most in fleet and provider',
    parseCount,
    1,
  )
  .option('--requests <N>', 'least number of requests in failed-requests and migrate', parseCount, 120_000)
  .option('--machines <N>', 'how many machines there are in migrate', parseCount)
  .option('--stress-minutes <M>', 'minutes of full CPU load in gap; 0: none', parseMinutes, 0)
  .option('--results <folder>', 'where the files go', resultsFolder)
  .action(async (name: string, options: Options) => {
    const bench = benches[name]
    if (bench === undefined && name !== 'all')
      throw new Error(`there is no bench "${name}"; there are ${names.join(', ')}`)
    if (bench !== undefined && process.env.SLUICE_SANDBOX === 'yes') await runHere(name, bench, options)
    else if (!(await runInSandboxes(bench === undefined ? names : [name]))) process.exitCode = 1
  })
  .parseAsync()
  .catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
    process.exit(1)
  })
process.exit(process.exitCode ?? 0)
