/** What a bench leaves behind: one JSON file with everything that it saw, and one plot. Writes under bench/results only. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { type Summary, summarize } from './statistics.ts'

export interface Series {
  readonly name: string
  readonly unit: string
  readonly samples: readonly number[]
  /** True: what the others are measured against. */
  readonly isFloor?: boolean
}

export interface Aim {
  /** What is asked, in words with its bound. */
  readonly aim: string
  readonly measured: number
  readonly unit: string
  readonly met: boolean
}

/** A bench's own findings; `result` adds when and where. */
export interface Findings {
  readonly title: string
  readonly settings: Readonly<Record<string, unknown>>
  readonly series: readonly Series[]
  readonly ratios: readonly { readonly name: string; readonly value: number }[]
  readonly aims: readonly Aim[]
  /** What a reader must know to judge the figures: shortened runs, noise, what is not comparable. */
  readonly notes: readonly string[]
  /** Whatever else was seen, for those who want to look closer. */
  readonly details?: unknown
}

export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly memoryMebibytes: number
  readonly kernel: string
  readonly system: string
}

export interface Result extends Omit<Findings, 'series'> {
  readonly format: 1
  readonly bench: string
  readonly measuredAt: string
  readonly durationSeconds: number
  readonly machine: Machine
  readonly versions: Readonly<Record<string, string>>
  readonly series: readonly (Series & { readonly summary: Summary | null })[]
}

export const resultsFolder = new URL('results', import.meta.url).pathname

export function makeResult(bench: string, findings: Findings, startedAt: Date, endedAt: Date): Result {
  const { title, settings, series, ...rest } = findings
  return {
    format: 1,
    bench,
    title,
    measuredAt: startedAt.toISOString(),
    durationSeconds: Math.round((endedAt.getTime() - startedAt.getTime()) / 1000),
    machine: observeMachine(),
    versions: observeVersions(),
    settings,
    series: series.map((one) => ({ ...one, summary: one.samples.length === 0 ? null : summarize(one.samples) })),
    ...rest,
  }
}

/** Returns the paths of the two files. */
export function writeResult(result: Result, plot: string, folder: string = resultsFolder): readonly [string, string] {
  mkdirSync(folder, { recursive: true })
  const json = `${folder}/${result.bench}.json`
  const svg = `${folder}/${result.bench}.svg`
  writeFileSync(json, `${JSON.stringify(result, roundNumbers, 1)}\n`)
  writeFileSync(svg, plot)
  return [json, svg]
}

/** Ten-thousandths of a millisecond, a percent or a MiB say nothing. */
const roundNumbers = (_key: string, value: unknown) =>
  typeof value === 'number' && !Number.isInteger(value) ? Math.round(value * 1e4) / 1e4 : value

function observeMachine(): Machine {
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryMebibytes: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    system: /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown',
  }
}

function observeVersions(): Record<string, string> {
  return {
    sluice: firstLine(['git', 'describe', '--always', '--dirty', '--abbrev=12']),
    bun: Bun.version,
    haproxy: firstLine(['haproxy', '-v']),
    keepalived: firstLine(['keepalived', '-v']),
    natsServer: firstLine(['nats-server', '--version']),
    iproute2: firstLine(['ip', '-V']),
  }
}

function firstLine(argv: readonly string[]): string {
  const child = Bun.spawnSync([...argv], { cwd: new URL('.', import.meta.url).pathname })
  return `${child.stdout}${child.stderr}`.trim().split('\n')[0] ?? 'unknown'
}
