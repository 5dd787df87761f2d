import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { detachedArgv, transientUnitArgv } from './daemons.ts'
import {
  createProcessFinder,
  firstProcesses,
  isRunning,
  type MarkedProcess,
  markEnvironment,
} from './marked-processes.ts'
import type { DaemonOperation } from './operation.ts'

setDefaultTimeout(30_000)

const start: Extract<DaemonOperation, { kind: 'startDaemon' }> = {
  kind: 'startDaemon',
  objectId: 'ins_1',
  daemon: 'haproxy',
  namespace: 'ins_1',
  argv: ['haproxy', '-W', '-db'],
  fingerprint: 'abc',
  capabilities: ['CAP_NET_BIND_SERVICE', 'CAP_NET_ADMIN'],
  logFile: '/run/x.log',
}

describe('a daemon is started', () => {
  test('in its namespace, without a process in between', () => {
    expect(detachedArgv(start)).toEqual(['nsenter', '--net=/run/netns/ins_1', '--', 'haproxy', '-W', '-db'])
  })

  test('in a unit of its own where systemd runs', () => {
    expect(transientUnitArgv(start)).toEqual([
      'systemd-run',
      '--quiet',
      '--collect',
      '--unit=sluice-haproxy-ins_1',
      '--slice=sluice.slice',
      '--property=Type=exec',
      '--property=NetworkNamespacePath=/run/netns/ins_1',
      '--property=CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_NET_ADMIN',
      '--property=NoNewPrivileges=yes',
      '--property=StandardOutput=truncate:/run/x.log',
      '--property=StandardError=inherit',
      '--setenv=SLUICE_DAEMON=ins_1/haproxy/abc',
      '--',
      'haproxy',
      '-W',
      '-db',
    ])
  })
})

describe('daemons are found by their mark', () => {
  const process = (pid: number, parentPid: number, startTimeTicks: number, objectId = 'ins_1'): MarkedProcess => ({
    objectId,
    daemon: 'haproxy',
    fingerprint: 'abc',
    pid,
    parentPid,
    startTimeTicks,
  })

  test('the first process of each is the one that no other of its kind has begotten', () => {
    const processes = [process(11, 10, 5), process(10, 1, 4), process(12, 10, 6), process(20, 1, 9, 'ins_2')]
    expect(firstProcesses(processes).map(({ pid }) => pid)).toEqual([10, 20])
  })

  test('of one that was left and one that came after it, the younger counts', () => {
    expect(firstProcesses([process(10, 1, 4), process(30, 1, 8)]).map(({ pid }) => pid)).toEqual([30])
  })

  test('a real process and its child are found while they live, others are not', async () => {
    const objectId = `test-${globalThis.process.pid}-${Date.now()}`
    const env = { ...globalThis.process.env, ...markEnvironment({ objectId, daemon: 'dnsmasq' }, 'f1') }
    const child = Bun.spawn(['sh', '-c', 'sleep 60 & wait'], { env, stdio: ['ignore', 'ignore', 'ignore'] })
    const finder = createProcessFinder()
    const find = () => finder.find().filter((each) => each.objectId === objectId)
    try {
      await waitUntil(() => find().length === 2)
      const [first, ...others] = firstProcesses(find())
      expect([first?.pid, first?.fingerprint, others]).toEqual([child.pid, 'f1', []])
      if (first === undefined) throw new Error('BUG: it was found')
      expect(isRunning(first)).toBe(true)
      expect(isRunning({ ...first, startTimeTicks: first.startTimeTicks - 1 })).toBe(false)
    } finally {
      for (const { pid } of find()) globalThis.process.kill(pid, 'SIGKILL')
      await child.exited
    }
    await waitUntil(() => find().length === 0)
  })
})

async function waitUntil(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('waited 20 s in vain')
    await Bun.sleep(5)
  }
}
