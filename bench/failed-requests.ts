/**
 * How many requests fail while a balancer is changed and what is around it is restarted, under a steady load. Every request
 * is counted once, none is repeated by the client; the same load with nothing done is the floor.
 */

import * as v from 'valibot'
import { loadBalancerSchema, memberSchema } from '../controller/contract/load-balancer.ts'
import { bootController, killController, killHostAgent, openLab } from '../lab/lab.ts'
import { waitUntil } from '../lab/wait.ts'
import type { Bench, BenchContext } from './bench.ts'
import { closedReason } from './load/client-connection.ts'
import type { PhaseReport } from './load/messages.ts'
import { type Load, startLoad } from './load/start-load.ts'
import { plotBars } from './plot.ts'
import { findDaemonProcesses, killAtOnce } from './system/processes.ts'
import { createBalancer, hostCount, type System, showBalancer, startSystem, targetsOf } from './system/system.ts'
import { awaitWhole } from './system/world.ts'

/** How often each change is made within its phase. */
const timesDefault = 5
const machineCount = 2 * hostCount
const connections = 24
const requestsPerSecond = 1500
const timeoutMilliseconds = 10_000
const requestsPerConnection = 50
const phaseTimeoutSeconds = 600
const changeTimeoutSeconds = 60

const ours = 'sluice: failed requests'
const floorName = 'nothing is done: failed requests'
const quiet = 'nothing is done'

export const failedRequests: Bench = {
  summary: 'requests that fail under steady load while members, listeners, controller and agents change',

  async run(context) {
    const times = context.options.times ?? timesDefault
    const { system, balancerId, load } = await prepare(context)
    const phases = describePhases(system, balancerId, times)
    const requestsPerPhase = Math.ceil(context.options.requests / phases.length)
    for (const phase of [{ name: quiet, act: async () => {} }, ...phases]) {
      if (phase.name !== quiet) await load.enterPhase(phase.name)
      context.tell(phase.name)
      await phase.act()
      await waitUntil(async () => (await load.count()) >= requestsPerPhase, {
        what: () => `${requestsPerPhase} requests while ${phase.name}`,
        timeoutSeconds: phaseTimeoutSeconds,
        intervalMilliseconds: 200,
      })
      await awaitWhole(system, balancerId)
    }
    const reports = await load.end()
    const changed = reports.filter(({ name }) => name !== quiet)
    const requests = changed.reduce((sum, report) => sum + report.requests, 0)
    const failed = changed.reduce((sum, report) => sum + report.failed, 0)
    return {
      title: 'Failed requests while things change',
      settings: { times, connections, requestsPerSecond, requestsPerConnection, timeoutMilliseconds, machineCount },
      series: [
        ...changed.map((report) => ({
          name: `${ours} while ${report.name}`,
          unit: 'requests',
          samples: [report.failed],
        })),
        { name: floorName, unit: 'requests', samples: [reports[0]?.failed ?? 0], isFloor: true },
      ],
      ratios: [],
      aims: [
        {
          aim: `0 of at least 100,000 idempotent requests fail (${requests.toLocaleString('en-US')} were sent)`,
          measured: failed,
          unit: 'requests',
          met: failed === 0 && requests >= 100_000,
        },
      ],
      notes: [
        'GET over kept connections, half of which are given up for a fresh one after 50 requests. A request has failed unless a whole 2xx came back on the connection that it was sent on.',
        ...(reports.some(({ reasons }) => (reasons[closedReason] ?? 0) > 0)
          ? [
              'haproxy 2.6 repeats a request when the connection to its member was closed, not when it was reset (haproxy issue 2061), as a program does that is killed with a request it has not read: then haproxy closes the connection to the client, which is to repeat.',
            ]
          : []),
        `Each change is made ${times} times. The restart of the controller takes its nats-server with it.`,
      ],
      details: reports,
    }
  },

  plot: (result) => {
    const reports = result.details as readonly PhaseReport[]
    return plotBars({
      title: result.title,
      subtitle: `${result.settings.requestsPerSecond} requests/s over ${result.settings.connections} connections, each change ${result.settings.times} times; ${result.measuredAt.slice(0, 10)}`,
      unit: 'requests',
      rows: reports.map(({ name, requests, failed, p99Milliseconds, maximumMilliseconds }) => ({
        label: name,
        value: requests,
        words: `${failed} failed; p99 ${p99Milliseconds.toFixed(0)} ms, max ${maximumMilliseconds.toFixed(0)} ms`,
        isBad: failed > 0,
      })),
    })
  },
}

async function prepare({ cleanup, tell }: BenchContext) {
  tell('starting the lab')
  const system = await startSystem(cleanup, machineCount)
  const balancer = await createBalancer(system, 'requests', { timeouts: timeoutsOfDrain })
  await awaitWhole(system, balancer.id)
  const load = await startLoad(system.clientPid, {
    targets: [...targetsOf(balancer.vips)],
    connections,
    requestsPerSecond,
    timeoutMilliseconds,
    requestsPerConnection,
    phase: quiet,
  })
  cleanup.defer('the load', () => load.stop())
  return { system, balancerId: balancer.id, load: load satisfies Load }
}

/** A drain as short as the load's requests allow by far, so that many can be waited for. */
const timeoutsOfDrain = { connectSeconds: 2, clientSeconds: 30, serverSeconds: 30, drainSeconds: 2 }

function describePhases(system: System, id: string, times: number) {
  const path = `/v1/load-balancers/${id}`
  const settled = () => awaitWhole(system, id)
  const repeat = async (act: (time: number) => Promise<unknown>) => {
    for (let time = 0; time < times; time++) await act(time)
  }
  const added = system.machines.slice(hostCount)
  const addMember = async (machineId: string) => {
    const member = await system.api.call(memberSchema, 'POST', `${path}/members`, { machineId })
    await settled()
    return member.id
  }
  const removeMember = async (memberId: string) => {
    await system.api.call(v.unknown(), 'DELETE', `${path}/members/${memberId}`)
    await waitUntil(async () => (await showBalancer(system, id)).members.every((member) => member.id !== memberId), {
      what: () => `member ${memberId} to be gone`,
      timeoutSeconds: changeTimeoutSeconds,
      intervalMilliseconds: 50,
    })
    await settled()
  }
  return [
    {
      name: 'members are added, drained and removed',
      act: () =>
        repeat(async () => {
          const members: string[] = []
          for (const machine of added) members.push(await addMember(machine.id))
          for (const memberId of members) await removeMember(memberId)
        }),
    },
    {
      name: 'listeners are added and removed',
      act: () =>
        repeat(async (time) => {
          const extra = { port: 8000 + time, memberPort: 80 }
          for (const listeners of [[{ port: 80 }, extra], [{ port: 80 }]]) {
            await system.api.call(loadBalancerSchema, 'PATCH', path, { listeners })
            await settled()
          }
        }),
    },
    {
      name: 'the controller is restarted',
      act: () =>
        repeat(async () => {
          await killController(openLab(system.settings))
          await bootController(openLab(system.settings))
          await settled()
        }),
    },
    {
      name: 'each agent is restarted',
      act: () =>
        repeat(async () => {
          for (const host of openLab(system.settings).state.hosts) {
            await killHostAgent(openLab(system.settings), host.name, { forGood: false })
            await settled()
          }
        }),
    },
    {
      name: 'a member is killed',
      act: () =>
        repeat(async (time) => {
          const victim = system.machines[time % hostCount]
          if (victim === undefined) throw new Error('BUG: no machine to be killed')
          const pids = findDaemonProcesses(victim.id, 'workload-web-80')
          if (pids.length === 0) throw new Error(`${victim.name} has no web server to be killed`)
          killAtOnce(pids)
          await waitUntil(() => findDaemonProcesses(victim.id, 'workload-web-80').length > 0, {
            what: () => `the web server of ${victim.name} to be started again`,
            timeoutSeconds: changeTimeoutSeconds,
          })
          await settled()
        }),
    },
  ]
}
