/** A lab with controller and agents: what it survives, what it is started anew after, and that nothing of it is left. */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { createServer } from 'node:net'
import { addHost, listHostStatuses } from '../../lab/controller-calls.ts'
import {
  bootController,
  bootHostAgain,
  bringLabUp,
  changeLab,
  controllerFolder,
  enterArgv,
  hostDisk,
  killController,
  killHost,
  killHostAgent,
  labSettings,
  loopbackUrl,
  markOf,
  markVariable,
  observeLab,
  openLab,
  readAdminToken,
  silentProgress,
  startHostAgent,
  takeLabDown,
} from '../../lab/lab.ts'
import { findMarkedProcesses, findProcessesOfFolder, killProcesses } from '../../lab/processes.ts'
import { waitUntil } from '../../lab/wait.ts'
import { type MachineSnapshot, requireSandbox, snapshotMachine } from './machine-snapshot.ts'

setDefaultTimeout(240_000)
const settings = labSettings({ name: 'wholetest', hosts: 2 })
const repository = new URL('../..', import.meta.url).pathname

let before: MachineSnapshot
beforeAll(() => {
  requireSandbox()
  before = snapshotMachine()
})
afterAll(async () => {
  await takeLabDown(settings)
})

const up = () => bringLabUp(settings, silentProgress)

async function expectNothingLeft(): Promise<void> {
  const isSame = () => JSON.stringify(snapshotMachine()) === JSON.stringify(before)
  await waitUntil(isSame, { what: () => 'the machine to be as before', timeoutSeconds: 5 }).catch(() => undefined)
  expect(snapshotMachine()).toEqual(before)
}

const statusOf = async (host: string) => (await listHostStatuses(readAdminToken(settings))).get(host)
const waitForStatus = (host: string, status: string) =>
  waitUntil(async () => (await statusOf(host)) === status, {
    what: () => `${host} to be ${status}`,
    timeoutSeconds: 30,
    intervalMilliseconds: 100,
  })

async function agentPid(host: string): Promise<string> {
  const lab = openLab(settings)
  return (await lab.run(enterArgv(lab, host, ['pgrep', '-f', 'sluice-agent run']))).stdout.trim()
}

describe('a whole lab', () => {
  test('comes up with its hosts joined and reporting, and is left as it is by another `up`', async () => {
    expect((await up()).kind).toBe('started')
    expect(await statusOf('host-1')).toBe('active')
    expect(await statusOf('host-2')).toBe('active')
    expect(observeLab(settings).controller).toMatchObject({ status: 'on', url: loopbackUrl })
    expect((await up()).kind).toBe('wasRunning')
  })

  test('starts an agent again that was killed, and leaves one off that was killed for good', async () => {
    const pid = await agentPid('host-1')
    await changeLab(settings, (lab) => killHostAgent(lab, 'host-1', { forGood: false }))
    await waitUntil(async () => !['', pid].includes(await agentPid('host-1')), {
      what: () => 'another agent',
      timeoutSeconds: 10,
    })
    await changeLab(settings, (lab) => killHostAgent(lab, 'host-1', { forGood: true }))
    await waitForStatus('host-1', 'silent')
    expect(await agentPid('host-1')).toBe('')
    await changeLab(settings, (lab) => startHostAgent(lab, 'host-1'))
    await waitForStatus('host-1', 'active')
  })

  test('keeps what its controller knows when that is killed with its store, and boots a host without it', async () => {
    await addHost(readAdminToken(settings), 'rack-1')
    await changeLab(settings, killController)
    expect(findProcessesOfFolder('nats-server', controllerFolder(settings))).toEqual([])
    expect(observeLab(settings)).toMatchObject({ status: 'running', controller: { status: 'off' } })
    expect((await up()).kind).toBe('wasRunning')
    await changeLab(settings, (lab) => killHost(lab, 'host-2'))
    await changeLab(settings, (lab) => bootHostAgain(lab, 'host-2'))
    expect(await changeLab(settings, bootController)).toBe(true)
    expect(await changeLab(settings, bootController)).toBe(false)
    expect(await statusOf('rack-1')).toBe('awaiting-join')
    await waitForStatus('host-2', 'active')
    expect(await Bun.file(`${hostDisk(settings, 'host-2')}/etc/sluice-agent/agent.json`).exists()).toBe(true)
  })

  test('is started anew when its controller died by no order', async () => {
    const { controller } = openLab(settings).state
    if (controller.process !== null) await killProcesses([controller.process])
    expect(observeLab(settings).status).toBe('broken')
    expect(() => openLab(settings)).toThrow('`sluice lab up` starts it anew')
    expect((await up()).kind).toBe('started')
    expect(await statusOf('rack-1')).toBeUndefined()
  })

  test('is started anew after every process of it was killed, and goes without a trace', async () => {
    await killProcesses([
      ...findMarkedProcesses(markVariable, markOf(settings.name)),
      ...findProcessesOfFolder('nats-server', settings.diskFolder),
    ])
    expect((await up()).kind).toBe('started')
    expect(await takeLabDown(settings)).toBe(true)
    await expectNothingLeft()
  })
})

test('killed half-way, it is cleaned up by the next command', async () => {
  for (const milliseconds of [150, 300, 450, 600, 800, 1000, 1300, 1700]) {
    const child = Bun.spawn([process.execPath, 'cli/main.ts', 'lab', 'up', '--hosts', '2'], {
      cwd: repository,
      env: { ...process.env, SLUICE_LAB: settings.name },
      stdout: 'ignore',
      stderr: 'ignore',
    })
    await Bun.sleep(milliseconds)
    child.kill('SIGKILL')
    await child.exited
    await takeLabDown(settings)
    await expectNothingLeft()
  }
  expect((await up()).kind).toBe('started')
  await takeLabDown(settings)
  await expectNothingLeft()
})

test('a port that is taken is told before anything is made', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(7480, '127.0.0.1', () => resolve()))
  await expect(up()).rejects.toThrow('port 7480 on 127.0.0.1 is taken')
  await new Promise((resolve) => server.close(resolve))
  await expectNothingLeft()
})
