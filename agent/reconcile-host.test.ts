import { describe, expect, test } from 'bun:test'
import { makeTestInstructions, testId } from '../test/lab/agent-instructions.ts'
import type { HostInstructions } from './contract/host-instructions.ts'
import type { HostReport } from './contract/host-report.ts'
import type { OperationFailure, OperationGroup } from './operations/operation.ts'
import { createHostLoop, type HostLoop, type LoopParts } from './reconcile-host.ts'
import { createRoom } from './room.ts'

const machineId = testId('mch', 1)
const networkId = testId('net', 1)
const projectId = testId('prj', 1)

function instruct(generation: number): HostInstructions {
  const machines = [{ number: 1, name: 'web-1', host: 'here', address: '10.1.0.11' }]
  return makeTestInstructions('here', generation, [], [{ number: 1, project: 1, vni: 1, shards: ['10.1.0'], machines }])
}

/** A world that holds which generation of each object was applied, and can be told to fail. */
function createWorld(overrides: Partial<LoopParts> = {}) {
  const applied = new Map<string, string>()
  const reports: HostReport[] = []
  const saved: number[] = []
  const log: Record<string, unknown>[] = []
  let broken = new Map<string, string>()
  let executions = 0
  let blocked: Promise<void> | undefined
  let milliseconds = 0

  const room = createRoom<ReadonlyMap<string, string>>({
    name: 'simulated',
    observe: () => Promise.resolve(new Map(applied)),
    plan: ({ desired }, observed) =>
      [...desired.networks, ...desired.machines]
        .filter(({ id, generation }) => observed.get(id) !== String(generation))
        .map(({ id, generation }) => ({
          objectId: id,
          operations: [{ kind: 'writeFile', path: id, content: String(generation) }],
        })),
  })
  const execute = async (groups: readonly OperationGroup[]): Promise<OperationFailure[]> => {
    executions += 1
    await blocked
    const failures: OperationFailure[] = []
    for (const { objectId, operations } of groups) {
      for (const operation of operations) {
        const message = broken.get(objectId)
        if (message !== undefined) failures.push({ objectId, operation, message })
        else if (operation.kind === 'writeFile') applied.set(operation.path, operation.content)
      }
    }
    return failures
  }
  const loop: HostLoop = createHostLoop({
    identity: { host: 'here', agentVersion: '1', bootId: 'b', startedAt: '2026-01-01T00:00:00Z' },
    rooms: [room],
    observeDaemons: () => ({ daemons: [], strayDaemons: [] }),
    reportInstances: () => new Map(),
    reportAddresses: () => undefined,
    reportTestimony: () => undefined,
    reportLoads: () => [],
    execute,
    onApplied: () => undefined,
    saveInstructions: ({ generation }) => saved.push(generation),
    sendReport: (report) => reports.push(report),
    log: (fields, message) => log.push({ ...fields, message }),
    now: () => new Date(milliseconds),
    ...overrides,
  })
  return {
    loop,
    applied,
    reports,
    saved,
    log,
    executions: () => executions,
    fail: (failures: Record<string, string>) => {
      broken = new Map(Object.entries(failures))
    },
    pass: (elapsed: number) => {
      milliseconds += elapsed
    },
    block() {
      const { promise, resolve } = Promise.withResolvers<void>()
      blocked = promise
      return resolve
    },
  }
}

const statuses = (report: HostReport | undefined) =>
  [...(report?.networks ?? []), ...(report?.machines ?? [])].map(({ status, reason }) => reason ?? status)

describe('the loop', () => {
  test('applies what it is told, saves it, and reports at once', async () => {
    const { loop, applied, saved, reports } = createWorld()
    expect(loop.instruct(instruct(3))).toBe('accepted')
    await loop.settled()
    expect([...applied]).toEqual([
      [networkId, '3'],
      [machineId, '3'],
    ])
    expect(saved).toEqual([3])
    expect(reports.length).toBe(1)
    expect(reports[0]).toMatchObject({ generation: 3, sequence: 1, host: 'here' })
    expect(statuses(reports[0])).toEqual(['converged', 'converged'])
  })

  test('starts by itself with what was kept', async () => {
    const { loop, applied } = createWorld({ initial: instruct(7) })
    loop.wake()
    await loop.settled()
    expect(applied.get(machineId)).toBe('7')
  })

  test('refuses an older statement and keeps an object that is newer than a new one says', async () => {
    const { loop, applied } = createWorld()
    loop.instruct(instruct(5))
    await loop.settled()
    expect(loop.instruct(instruct(4))).toBe('older')
    const next = instruct(6)
    loop.instruct({ ...next, machines: next.machines.map((machine) => ({ ...machine, generation: 2 })) })
    await loop.settled()
    expect([...applied.values()]).toEqual(['6', '5'])
  })

  test('reports the same at each tick, whether all is well or not', async () => {
    const { loop, reports } = createWorld()
    loop.tick()
    loop.instruct(instruct(1))
    await loop.settled()
    loop.tick()
    await loop.settled()
    loop.tick()
    expect(reports.map(({ sequence, generation }) => [sequence, generation])).toEqual([
      [1, 0],
      [2, 1],
      [3, 1],
      [4, 1],
    ])
  })

  test('however often it is woken while a turn runs, one more follows', async () => {
    const world = createWorld()
    const release = world.block()
    world.loop.instruct(instruct(1))
    for (let generation = 2; generation <= 9; generation++) world.loop.instruct(instruct(generation))
    release()
    await world.loop.settled()
    expect(world.executions()).toBe(2)
    expect(world.applied.get(machineId)).toBe('9')
    expect(world.saved.at(-1)).toBe(9)
  })

  test('a failure names its object, the others converge, and the next tick tries again', async () => {
    const world = createWorld()
    world.fail({ [machineId]: 'ip: File exists' })
    world.loop.instruct(instruct(1))
    await world.loop.settled()
    expect(statuses(world.reports.at(-1))).toEqual(['converged', 'ip: File exists'])
    world.fail({})
    world.pass(1000)
    world.loop.tick()
    await world.loop.settled()
    expect(statuses(world.reports.at(-1))).toEqual(['converged', 'converged'])
  })

  test('the same plan is not tried again at once, however often events wake it', async () => {
    const world = createWorld()
    world.fail({ [machineId]: 'no' })
    world.loop.instruct(instruct(1))
    await world.loop.settled()
    const before = world.executions()
    for (let wakes = 0; wakes < 5; wakes++) {
      world.loop.wake()
      await world.loop.settled()
    }
    // The first wake plans only what has failed, which is another plan than the first.
    expect(world.executions()).toBe(before + 1)
    expect(statuses(world.reports.at(-1))).toEqual(['converged', 'no'])
  })

  test('what fails for a project is told by its networks', async () => {
    const { loop, reports } = createWorld({
      rooms: [
        {
          name: 'projects',
          look: () => Promise.resolve([{ objectId: projectId, operations: [{ kind: 'removeFile', path: 'x' }] }]),
        },
      ],
      execute: (groups) =>
        Promise.resolve(
          groups.flatMap(({ objectId, operations }) =>
            operations.map((operation) => ({ objectId, operation, message: 'dnsmasq does not start' })),
          ),
        ),
    })
    loop.instruct(instruct(1))
    await loop.settled()
    expect(statuses(reports.at(-1))).toEqual(['dnsmasq does not start', 'converged'])
  })

  test('a room that can not see is a failure of all, and the other rooms go on', async () => {
    const { loop, reports } = createWorld({
      rooms: [{ name: 'blind', look: () => Promise.reject(new Error('ip: Killed')) }],
    })
    loop.instruct(instruct(1))
    await loop.settled()
    const reason = "blind can't be observed: Error: ip: Killed"
    expect(statuses(reports.at(-1))).toEqual([reason, reason])
  })

  test('each log line of an apply carries the traceparent of its object', async () => {
    const { loop, log } = createWorld()
    const desired = instruct(1)
    loop.instruct(desired)
    await loop.settled()
    const traceparent = desired.networks[0]?.traceparent
    expect(log.find(({ objectId }) => objectId === networkId)).toMatchObject({ message: 'applied', traceparent })
  })

  test('tells of the addresses that are on the move, and of no others', async () => {
    const addresses = [{ address: '10.1.0.11', answers: true, connections: 2 }]
    const { loop, reports } = createWorld({ reportAddresses: (id) => (id === machineId ? addresses : undefined) })
    loop.instruct(instruct(1))
    await loop.settled()
    expect(reports.at(-1)?.machines[0]?.addresses).toEqual(addresses)
    expect(Object.keys(reports.at(-1)?.networks[0] ?? {})).not.toContain('addresses')
  })

  test('ends after the turn that runs', async () => {
    const world = createWorld()
    const release = world.block()
    world.loop.instruct(instruct(1))
    const stopped = world.loop.stop()
    release()
    await stopped
    world.loop.wake()
    await world.loop.settled()
    expect(world.executions()).toBe(1)
  })
})
