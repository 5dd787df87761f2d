/** What programs cost while nothing is asked of them, each in all its processes on the machine, and what the machine does beside them. */

import { availableParallelism } from 'node:os'
import { findByCommandLine, findProgram, idleShare, measureUsage, readProcessorTicks } from '../system/processes.ts'

/** CPU in percent of one core, of all processes of the program together. */
export interface Cost {
  readonly cpuPercent: number
  readonly anonymousMebibytes: number
}

export type Processes<Program extends string> = Readonly<Record<Program, readonly number[]>>

export interface Rest<Program extends string> {
  readonly costs: Readonly<Record<Program, Cost>>
  readonly machineIdleShare: number
  /** In percent of one core, what none of them is charged with: the members, the kernel, whoever measures. */
  readonly otherCpuPercent: number
}

export const measureSeconds = 30

export async function measurePrograms<Program extends string>(processes: Processes<Program>): Promise<Rest<Program>> {
  const names = Object.keys(processes) as Program[]
  const before = new Map(names.map((name) => [name, measureUsage(processes[name]).cpuSeconds]))
  const ticks = readProcessorTicks()
  const begunAt = performance.now()
  await Bun.sleep(measureSeconds * 1000)
  const machineIdleShare = idleShare(ticks, readProcessorTicks())
  const seconds = (performance.now() - begunAt) / 1000
  const costOf = (name: Program): Cost => {
    const { anonymousMebibytes, cpuSeconds } = measureUsage(processes[name])
    return { anonymousMebibytes, cpuPercent: (100 * (cpuSeconds - (before.get(name) ?? 0))) / seconds }
  }
  const costs = Object.fromEntries(names.map((name) => [name, costOf(name)])) as Record<Program, Cost>
  const known = names.reduce((sum, name) => sum + costs[name].cpuPercent, 0)
  return {
    costs,
    machineIdleShare,
    otherCpuPercent: 100 * availableParallelism() * (1 - machineIdleShare) - known,
  }
}

/** Those that would run without us as well. */
export type DataPlane = 'haproxy' | 'keepalived'

export const findDataPlane = (): Processes<DataPlane> => ({
  haproxy: findProgram('haproxy'),
  // Its children bear other names in some builds.
  keepalived: findByCommandLine(([program]) => program?.endsWith('keepalived') === true),
})
