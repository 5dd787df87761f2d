/**
 * Each fault that a rack suffers, tried on a load balancer that carries traffic: its VIP goes on answering, and the world
 * becomes whole again by itself. Runs in a sandbox; FAULT_TIMES says how often each is tried, and more than once prints
 * the table that docs/faults.md keeps:
 *   FAULT_TIMES=10 scripts/sandbox bun test ./test/lab/faults.lab.ts
 */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import * as v from 'valibot'
import { describeFaults, type Fault, type Holder } from '../../bench/gap-faults.ts'
import { measureOutage } from '../../bench/prober/outage.ts'
import { type Prober, startProber } from '../../bench/prober/start-prober.ts'
import { type Cleanup, createCleanup } from '../../bench/system/cleanup.ts'
import { findByCommandLine, findDaemonProcesses, killAtOnce } from '../../bench/system/processes.ts'
import { createBalancer, type System, startSystem } from '../../bench/system/system.ts'
import { awaitWhole, findHolder, listHeldVips } from '../../bench/system/world.ts'
import type { LoadBalancer } from '../../controller/contract/load-balancer.ts'
import { hostSchema } from '../../controller/contract/machine.ts'
import {
  bootController,
  bootHostAgain,
  killController,
  killHost,
  killHostAgent,
  openLab,
  startHostAgent,
} from '../../lab/lab.ts'
import { findProcessesOfFolder } from '../../lab/processes.ts'
import { controllerFolder } from '../../lab/settings.ts'
import { waitUntil } from '../../lab/wait.ts'
import { requireSandbox } from './machine-snapshot.ts'

const times = Number(process.env.FAULT_TIMES ?? 1)
setDefaultTimeout(60_000 + times * 90_000)

const pace = { periodMilliseconds: 5, timeoutMilliseconds: 100 }
/** Generous: how long exactly is measured by bench/gap.ts on a machine that does nothing else. */
const gapMillisecondsMaximum = 3000
const recoverySeconds = 30
const noticeSeconds = 60

interface Trial {
  readonly fault: string
  readonly gapMilliseconds: number
  readonly healingGapMilliseconds: number
  /** From the healing, or from the fault where nothing has to be healed: what failed by itself is put right by itself. */
  readonly wholeAfterSeconds: number
}

const cleanup: Cleanup = createCleanup((text) => process.stderr.write(`${text}\n`))
const trials: Trial[] = []
let system: System
let balancerId: string
let prober: Prober

beforeAll(async () => {
  requireSandbox()
  process.env.SLUICE_PREEMPT_DELAY_SECONDS = '1'
  system = await startSystem(cleanup)
  balancerId = (await createBalancer(system, 'faults')).id
  await awaitWhole(system, balancerId)
  prober = await startProber(system.clientPid)
  cleanup.defer('the prober', () => prober.stop())
})

afterAll(async () => {
  await cleanup.run()
  if (times > 1) process.stdout.write(`${describeTrials(trials)}\n`)
})

const lab = () => openLab(system.settings)

/** Those of the bench by their names, and what only tests try. */
const faults: readonly { readonly name: string; readonly isOnPath: boolean; readonly of?: () => Fault }[] = [
  { name: 'host is cut', isOnPath: true },
  { name: "host's plug is pulled", isOnPath: true },
  { name: 'haproxy is killed', isOnPath: true },
  { name: 'keepalived is killed', isOnPath: true },
  { name: 'agent is killed', isOnPath: false },
  { name: 'controller is killed', isOnPath: false },
  {
    name: 'keepalived is stopped',
    isOnPath: true,
    of: () => ({
      name: 'keepalived is stopped',
      inject: async ({ instanceId }) => {
        for (const pid of findDaemonProcesses(instanceId, 'keepalived')) process.kill(pid, 'SIGSTOP')
      },
    }),
  },
  {
    name: 'nats-server is killed',
    isOnPath: false,
    of: () => ({ name: 'nats-server is killed', inject: async () => killAtOnce(natsServers()) }),
  },
  {
    name: 'a member is killed',
    isOnPath: false,
    of: () => ({ name: 'a member is killed', inject: async () => killAtOnce(members()) }),
  },
]

const natsServers = () => findProcessesOfFolder('nats-server', controllerFolder(system.settings)).map(({ pid }) => pid)
const members = () => findDaemonProcesses(system.machines[0]?.id ?? '', 'workload-web-80')
const agents = () => findByCommandLine(([program = '', verb]) => program.endsWith('/sluice-agent') && verb === 'run')

/** What must have ended, and must be there again, before the world can count as whole; nothing where healing does it. */
function victimsOf(fault: Fault, { instanceId }: Holder): () => readonly number[] {
  if (fault.name.startsWith('haproxy')) return () => findDaemonProcesses(instanceId, 'haproxy')
  if (fault.name.startsWith('keepalived')) return () => findDaemonProcesses(instanceId, 'keepalived')
  if (fault.name.startsWith('agent')) return agents
  if (fault.name.startsWith('nats-server')) return natsServers
  if (fault.name.startsWith('a member')) return members
  return () => []
}

describe('a load balancer goes on answering, and the world becomes whole again, when', () => {
  for (const { name, isOnPath, of } of faults) {
    test(name, async () => {
      for (let time = 1; time <= times; time++) {
        const fault = of?.() ?? describeFaults(system).find((one) => one.name === name)
        if (fault === undefined) throw new Error(`BUG: there is no fault "${name}"`)
        const trial = await suffer(fault, time)
        trials.push(trial)
        expect(trial.gapMilliseconds).toBeLessThan(isOnPath ? gapMillisecondsMaximum : gapMillisecondsMaximum / 2)
        expect(trial.healingGapMilliseconds).toBeLessThan(gapMillisecondsMaximum)
      }
    })
  }
})

/** Each time of another VIP, so that both instances suffer. */
async function suffer(fault: Fault, time: number): Promise<Trial> {
  const before = await awaitWhole(system, balancerId)
  const vip = before.vips[time % before.vips.length] ?? 'no VIP'
  const holder = await findHolder(system, before, vip)
  const target = { address: vip, port: 80 }
  const victims = victimsOf(fault, holder)
  const victimsBefore = victims()
  await prober.watch(target, pace)
  const begunAt = performance.now()
  await fault.inject(holder)
  if (isHostsEnd(fault)) await awaitSilence(holder)
  if (!needsHealing(fault)) await awaitReplacement(victims, victimsBefore)
  await prober.awaitFirst([target], pace, recoverySeconds)
  const { gapMilliseconds } = measureOutage(await prober.endWatch())
  await prober.watch(target, pace)
  const healedAt = needsHealing(fault) ? performance.now() : begunAt
  await fault.heal?.(holder)
  await awaitWhole(system, balancerId)
  const wholeAfterSeconds = (performance.now() - healedAt) / 1000
  const healingGapMilliseconds = measureOutage(await prober.endWatch()).gapMilliseconds
  return { fault: fault.name, gapMilliseconds, healingGapMilliseconds, wholeAfterSeconds }
}

const needsHealing = ({ name }: Fault) => name.startsWith('host') || name.startsWith('controller')

/** As many as before, and at least one of them anew: then the fault has happened, and has been noticed. */
async function awaitReplacement(victims: () => readonly number[], before: readonly number[]): Promise<void> {
  const isReplaced = () => {
    const now = victims()
    return now.length === before.length && (before.length === 0 || now.some((pid) => !before.includes(pid)))
  }
  await waitUntil(isReplaced, {
    what: () => `${before.join(', ')} to be replaced; there are ${victims().join(', ')}`,
    timeoutSeconds: recoverySeconds,
  })
}

/** A cut that is short is noticed by nobody but VRRP; test/lab/life.lab.ts has one that lasts. */
const isHostsEnd = ({ name }: Fault) => name === "host's plug is pulled"

/** The controller has noticed, and done what it does: only then the host comes back. */
async function awaitSilence({ host }: Holder): Promise<void> {
  const pageSchema = v.object({ items: v.array(hostSchema) })
  await waitUntil(
    async () => {
      const { items } = await system.api.call(pageSchema, 'GET', '/v1/hosts')
      return items.some(({ name, status }) => name === host && status === 'silent')
    },
    { what: () => `${host} to be silent`, timeoutSeconds: noticeSeconds, intervalMilliseconds: 100 },
  )
}

describe('without controller and nats-server', () => {
  let before: LoadBalancer

  beforeAll(async () => {
    before = await awaitWhole(system, balancerId)
    await killController(lab())
  })

  afterAll(async () => {
    await bootController(lab())
  })

  const target = (index: number) => ({ address: before.vips[index] ?? 'no VIP', port: 80 })
  const hosts = () => lab().state.hosts.map(({ name }) => name)

  async function awaitInstances(): Promise<void> {
    const missing = () =>
      [
        ...before.instances.flatMap(({ id }) => ['haproxy', 'keepalived'].map((daemon) => ({ id, daemon, count: 2 }))),
        ...system.machines.map(({ id }) => ({ id, daemon: 'workload-web-80', count: 1 })),
      ].filter(({ id, daemon, count }) => findDaemonProcesses(id, daemon).length !== count)
    await waitUntil(() => missing().length === 0, {
      what: () => `the processes of ${JSON.stringify(missing())}`,
      timeoutSeconds: recoverySeconds,
    })
    await prober.awaitFirst([target(0), target(1)], pace, recoverySeconds)
  }

  async function countHolders(vip: string): Promise<number> {
    const held = await Promise.all(
      before.instances.map(({ id, host }) => listHeldVips(system, host ?? 'no host', id, [vip])),
    )
    return held.flat().length
  }

  test('an agent that is started again changes nothing and repairs what has drifted', async () => {
    const [instance] = before.instances
    if (instance?.host == null) throw new Error('BUG: an instance without a host')
    await killHostAgent(lab(), instance.host, { forGood: true })
    killAtOnce(findDaemonProcesses(instance.id, 'haproxy'))
    await startHostAgent(lab(), instance.host)
    await awaitInstances()
  })

  test('a host that is rebooted puts everything back from its disk', async () => {
    const host = before.instances[0]?.host ?? 'no host'
    await killHost(lab(), host)
    await prober.awaitFirst([target(0), target(1)], pace, recoverySeconds)
    await bootHostAgain(lab(), host)
    await awaitInstances()
  })

  test('all hosts, rebooted at once, put everything back from their disks', async () => {
    for (const host of hosts()) await killHost(lab(), host)
    for (const host of hosts()) await bootHostAgain(lab(), host)
    await awaitInstances()
    for (const vip of before.vips) {
      await waitUntil(async () => (await countHolders(vip)) === 1, {
        what: () => `${vip} to be on one instance`,
        timeoutSeconds: recoverySeconds,
        intervalMilliseconds: 100,
      })
    }
  })

  test('and when both are back, the world is whole', async () => {
    await bootController(lab())
    await awaitWhole(system, balancerId)
  })
})

function describeTrials(all: readonly Trial[]): string {
  const show = (values: readonly number[], digits: number) => {
    const sorted = values.toSorted((a, b) => a - b)
    const middle = sorted[Math.floor((sorted.length - 1) / 2)]
    return [sorted[0], middle, sorted.at(-1)].map((value) => (value ?? 0).toFixed(digits)).join(' / ')
  }
  const rows = [...Map.groupBy(all, ({ fault }) => fault)].map(([fault, of]) => [
    fault,
    String(of.length),
    show(
      of.map(({ gapMilliseconds }) => gapMilliseconds),
      0,
    ),
    show(
      of.map(({ healingGapMilliseconds }) => healingGapMilliseconds),
      0,
    ),
    show(
      of.map(({ wholeAfterSeconds }) => wholeAfterSeconds),
      1,
    ),
  ])
  const heading = ['fault', 'times', 'gap, ms', 'gap while it heals, ms', 'whole after, s']
  return [heading, heading.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')
}
