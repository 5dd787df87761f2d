/** Full CPU load beside a balancer for minutes: no VIP may move. */

import { availableParallelism } from 'node:os'
import type { LoadBalancer } from '../controller/contract/load-balancer.ts'
import { findHost } from '../lab/faults.ts'
import { openLab } from '../lab/lab.ts'
import type { BenchContext } from './bench.ts'
import { measureOutage } from './prober/outage.ts'
import type { Prober } from './prober/start-prober.ts'
import type { Findings } from './result.ts'
import { idleShare, readProcessorTicks } from './system/processes.ts'
import type { System } from './system/system.ts'

export type StressFindings = Pick<Findings, 'series' | 'aims' | 'notes' | 'details'>

const minutesAimed = 10
const loopsPerCore = 2
const pace = { periodMilliseconds: 20, timeoutMilliseconds: 200 }

export async function measureStress(
  system: System,
  balancer: LoadBalancer,
  prober: Prober,
  { options, cleanup, tell }: BenchContext,
): Promise<StressFindings> {
  const seconds = Math.round(options.stressMinutes * 60)
  const loops = availableParallelism() * loopsPerCore
  const vip = balancer.vips[0] ?? ''
  tell(`${loops} busy loops for ${options.stressMinutes} minutes`)
  const monitors = balancer.instances.map((instance) => startMonitor(system, instance.host ?? '', instance.id))
  cleanup.defer('the monitors of addresses', async () => {
    for (const monitor of monitors) monitor.kill()
  })
  await prober.watch({ address: vip, port: 80 }, pace)
  const ticksBefore = readProcessorTicks()
  const busy = Array.from({ length: loops }, () => startBusyLoop(seconds))
  cleanup.defer('the busy loops', async () => {
    for (const loop of busy) loop.kill('SIGKILL')
  })
  await Promise.all(busy.map((loop) => loop.exited))
  const idle = idleShare(ticksBefore, readProcessorTicks())
  const outage = measureOutage(await prober.endWatch())
  for (const monitor of monitors) monitor.kill()
  const changes = (await Promise.all(monitors.map((monitor) => new Response(monitor.stdout).text())))
    .flatMap((text) => text.split('\n'))
    .filter((line) => balancer.vips.some((address) => line.includes(` ${address}/`)))
  const isShort = options.stressMinutes < minutesAimed
  return {
    series: [{ name: 'coming and going of VIPs under full CPU load', unit: 'changes', samples: [changes.length] }],
    aims: [
      {
        aim: `no VIP moves in ${minutesAimed} minutes of full CPU load${isShort ? ` (only ${options.stressMinutes} were run)` : ''}`,
        measured: changes.length,
        unit: 'changes',
        met: changes.length === 0 && !isShort,
      },
    ],
    notes: [
      `Under full CPU load for ${options.stressMinutes} minutes (${loops} busy loops, ${(idle * 100).toFixed(1)} % of the processors idle) VIPs came or went ${changes.length} times; the longest time without an answer was ${outage.gapMilliseconds.toFixed(0)} ms, ${outage.failedProbes} of ${outage.probes} probes took longer than ${pace.timeoutMilliseconds} ms or failed.`,
    ],
    details: { seconds, loops, idleShare: idle, outage, changes },
  }
}

/** It ends by itself, so that it does not outlive a bench that was killed for long. */
const startBusyLoop = (seconds: number) =>
  Bun.spawn(['bash', '-c', `end=$((SECONDS + ${seconds})); while ((SECONDS < end)); do :; done`], {
    stdio: ['ignore', 'ignore', 'ignore'],
  })

/** Prints each address that comes to or goes from the instance's namespace. Each step becomes the next, without a child. */
function startMonitor(system: System, host: string, instanceId: string) {
  const pid = findHost(openLab(system.settings).state, host).process?.pid
  const watch = ['nsenter', `--net=/run/netns/${instanceId}`, '--', 'ip', '-oneline', 'monitor', 'address']
  return Bun.spawn(['nsenter', '-t', String(pid), '-m', '--', ...watch], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'ignore',
  })
}
