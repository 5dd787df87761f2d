import { expect, test } from 'bun:test'
import { waitUntil } from '../../lab/wait.ts'
import { findDaemonProcesses, idleShare, killAtOnce, measureUsage } from './processes.ts'

test("finds a daemon's processes by the mark in their environment, and ends them", async () => {
  const objectId = `lbi_${process.pid}test`
  const child = Bun.spawn(['sleep', '60'], { env: { SLUICE_DAEMON: `${objectId}/haproxy/0123` } })
  await waitUntil(() => findDaemonProcesses(objectId, 'haproxy').includes(child.pid), {
    what: () => 'the child to be found',
    timeoutSeconds: 5,
  })
  expect(findDaemonProcesses(objectId, 'keepalived')).toEqual([])
  killAtOnce(findDaemonProcesses(objectId, 'haproxy'))
  await child.exited
  expect(findDaemonProcesses(objectId, 'haproxy')).toEqual([])
})

test('a program that is gone uses nothing, and one that runs something', () => {
  expect(measureUsage([])).toEqual({ residentMebibytes: 0, anonymousMebibytes: 0, cpuSeconds: 0 })
  const own = measureUsage([process.pid])
  expect(own.residentMebibytes).toBeGreaterThan(own.anonymousMebibytes)
  expect(own.anonymousMebibytes).toBeGreaterThan(0)
})

test('the idle share counts idling and waiting for disks', () => {
  expect(idleShare([0, 0, 0, 0, 0], [30, 0, 20, 45, 5])).toBe(0.5)
  expect(idleShare([1, 1, 1, 1, 1], [1, 1, 1, 1, 1])).toBe(1)
})
