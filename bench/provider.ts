/**
 * What Terraform and OpenTofu take for load balancers with their networks: by our provider, by one that does nothing on the
 * same framework (the floor), by `terraform_data`, which has no process, and by calls of the API alone. Four resources a
 * balancer. A real controller with its store on disk answers; its hosts do at once what they are told, and carry nothing.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bench, BenchContext } from './bench.ts'
import { plotLines } from './plot.ts'
import { buildProviders, measureStarts, programFolder } from './provider/built-providers.ts'
import { type CommandLine, createCommandLine, type Timed } from './provider/command-line.ts'
import { renderConfiguration, resourcesEach, resourcesShared, type SideName } from './provider/configurations.ts'
import { declareDirectly } from './provider/direct-calls.ts'
import { startSimulatedRack } from './provider/simulated-rack.ts'
import { median } from './statistics.ts'
import type { Api } from './system/api.ts'

const sizesAll = [1, 10, 100, 500] as const
/** The large ones are long, and vary less. */
const timesBySize: Readonly<Record<number, number>> = { 1: 10, 10: 5, 100: 3, 500: 1 }
const starts = 30
const hosts = 4
/** In each round, since they vary more than an apply and take less. */
const plansAgain = 4
const planRatioAimed = 1.3
const startMillisecondsAimed = 150

const sides = ['sluice', 'nothing', 'terraform_data'] as const
const names: Readonly<Record<SideName, string>> = {
  sluice: 'sluice',
  nothing: 'a provider that does nothing',
  terraform_data: 'terraform_data',
}
const direct = 'calls of the API'

interface Round {
  readonly balancers: number
  readonly by: Readonly<Record<SideName, Runs>>
  readonly createSeconds: number
  readonly readSeconds: number
}

interface Runs {
  /** With nothing there yet. */
  readonly first: Timed
  readonly apply: Timed
  /** With everything there: each object is read, and nothing is to be changed. Several, of the sides in turn. */
  readonly again: Timed[]
}

export const provider: Bench = {
  summary: 'tofu plan and apply of 1 to 500 load balancers, against a provider that does nothing',

  async run(context) {
    const { commandLine, api } = await prepare(context)
    const startMilliseconds = await measureStarts(starts)
    context.tell(`start to the first answer: ${Math.round(median(startMilliseconds))} ms`)
    const most = context.options.balancers === 1 ? Number.POSITIVE_INFINITY : context.options.balancers
    const sizes = sizesAll.filter((size) => size <= most)
    const rounds: Round[] = []
    for (const balancers of sizes) {
      const times = context.options.times ?? timesBySize[balancers] ?? 1
      for (let time = 0; time < times; time++) {
        rounds.push(await takeRound(commandLine, api, balancers, time))
        context.tell(`${balancers} balancers, ${time + 1}/${times}: ${describeRound(rounds.at(-1))}`)
      }
    }
    return report(rounds, sizes, startMilliseconds, commandLine.program)
  },

  plot: (result) => {
    const of = (what: string, sizes: readonly number[]) => (side: SideName) => ({
      label: names[side],
      isFloor: side !== 'sluice',
      points: sizes.map((x) => {
        const found = result.series.find(({ name }) => name === seriesName(x, what, names[side]))
        return { x, y: median(found?.samples ?? [Number.NaN]) }
      }),
    })
    const sizes = result.settings.sizes as readonly number[]
    const panel = (title: string) => ({ title, unit: 'seconds', series: sides.map(of(title, sizes)) })
    return plotLines({
      title: result.title,
      subtitle: `medians; ${resourcesEach} resources a balancer; ${result.machine.cores} cores; ${result.measuredAt.slice(0, 10)}`,
      xLabel: 'load balancers',
      panels: [panel(planAgain), panel(planFirst), panel(applyAll)],
    })
  },
}

const planFirst = 'plan, nothing there yet'
const planAgain = 'plan, all there'
const applyAll = 'apply'
const seriesName = (balancers: number, what: string, side: string) => `${balancers}: ${what}: ${side}`

async function prepare({ cleanup, tell }: BenchContext) {
  tell('compiling the floor')
  buildProviders()
  tell('starting a controller with hosts that carry nothing')
  const rack = await startSimulatedRack(cleanup, hosts)
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-provider-'))
  cleanup.defer("the CLI's folders", async () => rmSync(folder, { recursive: true, force: true }))
  const commandLine = createCommandLine({
    folder,
    providers: { 'sluice/sluice': programFolder, 'bench/nothing': programFolder },
    environment: { SLUICE_ADDR: rack.url, SLUICE_TOKEN: rack.token },
  })
  return { commandLine, api: rack.api }
}

/** The side that goes first takes turns. */
async function takeRound(commandLine: CommandLine, api: Api, balancers: number, time: number): Promise<Round> {
  const inTurn = sides.map((_, index) => sides[(index + time) % sides.length] ?? 'sluice')
  const by: Partial<Record<SideName, Runs>> = {}
  const folders = inTurn.map((side) => [side, commandLine.prepare(side, renderConfiguration(side, balancers))] as const)
  for (const [side, folder] of folders) {
    const first = await commandLine.run(folder, 'plan')
    const apply = await commandLine.run(folder, 'apply', '-auto-approve')
    by[side] = { first, apply, again: [] }
  }
  for (let turn = 0; turn < plansAgain; turn++) {
    for (const [side, folder] of folders)
      by[side]?.again.push(await commandLine.run(folder, 'plan', '-detailed-exitcode'))
  }
  for (const [, folder] of folders) await commandLine.run(folder, 'destroy', '-auto-approve')
  const declared = await declareDirectly(api, balancers)
  await declared.remove()
  const { createSeconds, readSeconds } = declared
  return { balancers, by: by as Record<SideName, Runs>, createSeconds, readSeconds }
}

function describeRound(round: Round | undefined): string {
  if (round === undefined) return ''
  const seconds = (pick: (runs: Runs) => readonly Timed[]) =>
    sides.map((side) => median(secondsOf(pick(round.by[side]))).toFixed(1)).join('/')
  return `plan ${seconds(({ first }) => [first])}, apply ${seconds(({ apply }) => [apply])}, plan again ${seconds(({ again }) => again)} s; calls ${round.createSeconds.toFixed(1)} s`
}

const secondsOf = (runs: readonly Timed[]) => runs.map(({ seconds }) => seconds)

function report(
  rounds: readonly Round[],
  sizes: readonly number[],
  startMilliseconds: readonly number[],
  program: string,
) {
  const ofSize = (size: number) => rounds.filter(({ balancers }) => balancers === size)
  const samples = (size: number, pick: (round: Round) => number) => ofSize(size).map(pick)
  const kinds = [
    [planFirst, (runs: Runs) => [runs.first]],
    [applyAll, (runs: Runs) => [runs.apply]],
    [planAgain, (runs: Runs) => runs.again],
  ] as const
  const secondsBy = (size: number, side: SideName, pick: (runs: Runs) => readonly Timed[]) =>
    ofSize(size).flatMap(({ by }) => secondsOf(pick(by[side])))
  const ratioOf = (size: number, pick: (runs: Runs) => readonly Timed[]) =>
    median(secondsBy(size, 'sluice', pick)) / median(secondsBy(size, 'nothing', pick))
  const applyRatio = (size: number) =>
    median(samples(size, ({ by }) => by.sluice.apply.seconds)) /
    median(samples(size, ({ by, createSeconds }) => by.nothing.apply.seconds + createSeconds))
  const start = median(startMilliseconds)
  const planAims = sizes.flatMap((size) =>
    ([planFirst, planAgain] as const).map((what) => {
      const measured = ratioOf(size, (runs) => (what === planFirst ? [runs.first] : runs.again))
      const aim = `${size} balancers, ${what}: ≤ ${planRatioAimed} × the provider that does nothing`
      return { aim, measured, unit: '×', met: measured <= planRatioAimed }
    }),
  )
  return {
    title: 'Terraform: plan and apply of load balancers with their networks',
    settings: {
      sizes,
      times: sizes.map((size) => ofSize(size).length),
      hosts,
      program,
      resourcesEach,
      resourcesShared,
    },
    series: [
      { name: 'start of the provider → its first answer', unit: 'ms', samples: startMilliseconds },
      ...sizes.flatMap((size) => [
        ...kinds.flatMap(([what, pick]) =>
          sides.map((side) => ({
            name: seriesName(size, what, names[side]),
            unit: 's',
            samples: secondsBy(size, side, pick),
            isFloor: side !== 'sluice',
          })),
        ),
        {
          name: seriesName(size, applyAll, direct),
          unit: 's',
          samples: samples(size, (round) => round.createSeconds),
          isFloor: true,
        },
        {
          name: seriesName(size, 'reading all', direct),
          unit: 's',
          samples: samples(size, (round) => round.readSeconds),
          isFloor: true,
        },
        ...(['sluice', 'nothing'] as const).map((side) => ({
          name: seriesName(size, 'most memory of the provider in an apply', names[side]),
          unit: 'MiB',
          samples: samples(size, ({ by }) => by[side].apply.providerMebibytes),
          isFloor: side !== 'sluice',
        })),
      ]),
    ],
    ratios: sizes.map((size) => ({
      name: `${size} balancers, apply to the apply that does nothing and the calls of the API together`,
      value: applyRatio(size),
    })),
    aims: [
      ...planAims,
      {
        aim: `start of the provider → its first answer, p50 ≤ ${startMillisecondsAimed} ms`,
        measured: start,
        unit: 'ms',
        met: start <= startMillisecondsAimed,
      },
    ],
    notes: [
      'The provider that does nothing has the very schemas of ours, so that what the CLI and the framework do with them is the same; what only a controller can decide it makes up at once.',
      'Both are overrides for development: nothing is unpacked, and no checksum is taken. In daily use the CLI takes that of the binary, once a run, for either.',
      `Of ${resourcesEach} resources a balancer three are a network, a shard and its attachment; ${resourcesShared} are shared by all. An apply ends when every balancer is active; its instances are simulated, so no haproxy is started.`,
      'terraform_data is built into the CLI: it has no process, and nothing is validated or read.',
      'The calls of the API are made ten at a time, as the CLI makes them, each balancer waiting for nothing but its own network.',
      `CLI, provider, controller and store share the processors. The provider used ${showCpu(rounds)} of the apply's time on a core.`,
    ],
    details: rounds,
  }
}

function showCpu(rounds: readonly Round[]): string {
  const shares = rounds.map(({ by: { sluice } }) => sluice.apply.providerCpuSeconds / sluice.apply.seconds)
  return `${Math.round(100 * Math.min(...shares))} to ${Math.round(100 * Math.max(...shares))} %`
}
