import { expect, test } from 'bun:test'
import { makeTestInstructions, testId } from '../../test/lab/agent-instructions.ts'
import type { MachineInstructions } from '../contract/host-instructions.ts'
import type { ObservedDaemon, Operation } from '../operations/operation.ts'
import { planMachines } from './machine-room.ts'

const options = { runFolder: '/run/x', host: 'here', agentArgv: ['/bin/agent'] }
const machineId = testId('mch', 1)
const resolvConf = 'search network-1.test\nnameserver 10.1.0.1\n'

function instruct(changes: Partial<MachineInstructions> = {}) {
  const machines = [{ number: 1, name: 'web-1', host: 'here', address: '10.1.0.11' }]
  const desired = makeTestInstructions('here', 1, [], [{ number: 1, project: 1, vni: 1, shards: ['10.1.0'], machines }])
  return { ...desired, machines: desired.machines.map((machine) => ({ ...machine, ...changes })) }
}

function plan(changes: Partial<MachineInstructions>, daemons: readonly ObservedDaemon[], resolv?: string): Operation[] {
  const turn = { desired: instruct(changes), daemons }
  return planMachines(turn, new Map([[machineId, resolv]]), options).flatMap(({ operations }) => operations)
}

/** What runs after a plan has been carried out. */
function start(operations: readonly Operation[]): ObservedDaemon[] {
  return operations
    .filter((operation) => operation.kind === 'startDaemon')
    .map(({ objectId, daemon, fingerprint }) => ({
      objectId,
      daemon,
      fingerprint,
      pid: 1,
      startTimeTicks: 1,
      namespaceInode: 1,
    }))
}

const say = (operations: readonly Operation[]) =>
  operations.map((operation) => ('daemon' in operation ? `${operation.kind} ${operation.daemon}` : operation.kind))

const running = start(plan({}, []))

test('a new machine learns whom to ask for names, and its workloads start out of our own binary', () => {
  const operations = plan({}, [])
  expect(say(operations)).toEqual(['writeFile', 'startDaemon workload-web-80', 'startDaemon workload-echo-7'])
  expect(operations[0]).toEqual({
    kind: 'writeFile',
    path: `/etc/netns/${machineId}/resolv.conf`,
    content: resolvConf,
    mode: 0o644,
  })
  expect(operations[1]).toMatchObject({
    namespace: machineId,
    argv: ['/bin/agent', 'workload', 'web', '--port=80', '--name=web-1', '--host=here'],
  })
})

test('a machine that is as it should be is left alone', () => {
  expect(plan({}, running, resolvConf)).toEqual([])
})

test('another address leaves the workloads running', () => {
  const addresses = [{ address: '10.1.0.99', prefixLength: 24, gateway: '10.1.0.1' }]
  expect(plan({ addresses }, running, resolvConf)).toEqual([])
})

test('another name starts the workloads anew', () => {
  expect(say(plan({ name: 'web-9' }, running, resolvConf))).toEqual([
    'stopDaemon workload-web-80',
    'stopDaemon workload-echo-7',
    'startDaemon workload-web-80',
    'startDaemon workload-echo-7',
  ])
})

test('a workload that is not wanted any more ends, the other goes on', () => {
  expect(say(plan({ workloads: [{ kind: 'web', port: 80 }] }, running, resolvConf))).toEqual([
    'stopDaemon workload-echo-7',
  ])
})

test('a workload that died starts again', () => {
  expect(say(plan({}, running.slice(1), resolvConf))).toEqual(['startDaemon workload-web-80'])
})
