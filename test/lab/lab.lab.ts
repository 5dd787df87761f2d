/** The lab itself: what it makes, what it leaves, what it does when it is killed half-way, and what it never touches. */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import {
  bootHostAgain,
  bringLabUp,
  changeLab,
  cutHost,
  enterArgv,
  healHost,
  killHost,
  type LabSettings,
  labSettings,
  machineLink,
  markOf,
  markVariable,
  observeLab,
  openLab,
  silentProgress,
  takeLabDown,
} from '../../lab/lab.ts'
import { findMarkedProcesses, killProcesses } from '../../lab/processes.ts'
import { waitUntil } from '../../lab/wait.ts'
import { type MachineSnapshot, requireSandbox, snapshotMachine } from './machine-snapshot.ts'

const repository = new URL('../..', import.meta.url).pathname
const settings = labSettings({ name: 'labtest', hosts: 3, bare: true })
setDefaultTimeout(120_000)

let before: MachineSnapshot
beforeAll(async () => {
  requireSandbox()
  before = snapshotMachine()
})
afterAll(async () => {
  await takeLabDown(settings)
})

const up = (one: LabSettings = settings) => bringLabUp(one, silentProgress)

/** The kernel frees a dead namespace a little after its last process. */
async function expectNothingLeft(): Promise<void> {
  const isSame = () => JSON.stringify(snapshotMachine()) === JSON.stringify(before)
  await waitUntil(isSame, { what: () => 'the machine to be as before', timeoutSeconds: 5 }).catch(() => undefined)
  expect(snapshotMachine()).toEqual(before)
}

async function on(where: string, ...command: string[]) {
  const lab = openLab(settings)
  return await lab.run(enterArgv(lab, where, command))
}
const canReach = async (from: string, address: string) =>
  (await on(from, 'ping', '-c', '1', '-W', '1', '-i', '0.2', address)).exitCode === 0

/** The kernel tells a bridge of a new link's carrier a little after the link is up. */
const reaches = (from: string, address: string) =>
  waitUntil(() => canReach(from, address), { what: () => `${address} to answer ${from}`, timeoutSeconds: 5 })

async function sluice(argv: readonly string[], input = '') {
  const child = Bun.spawn([process.execPath, 'cli/main.ts', ...argv], {
    cwd: repository,
    env: { ...process.env, SLUICE_LAB: settings.name },
    stdin: new Blob([input]),
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { exitCode: await child.exited, stdout, stderr }
}

describe('a bare lab', () => {
  test('comes up, joins its hosts, and goes without a trace', async () => {
    expect((await up()).kind).toBe('started')
    await reaches('host-1', '198.18.0.3')
    await reaches('client', '198.18.32.1')
    expect((await on('host-2', 'hostname')).stdout).toBe('host-2\n')
    expect((await on('host-2', 'ls', '/sys/class/net')).stdout.split('\n')).toEqual(['lo', 'underlay0', 'uplink0', ''])
    expect(await takeLabDown(settings)).toBe(true)
    await expectNothingLeft()
    expect(await takeLabDown(settings)).toBe(false)
  })

  test('that runs is left as it is, also by two commands at once', async () => {
    const both = await Promise.all([up(), up()])
    expect(both.map((result) => result.kind).toSorted()).toEqual(['started', 'wasRunning'])
    const pids = observeLab(settings).hosts.map((host) => host.pid)
    expect((await up(labSettings({ name: settings.name, hosts: 5, bare: true }))).kind).toBe('wasRunning')
    expect(observeLab(settings).hosts.map((host) => host.pid)).toEqual(pids)
  })

  test('keeps namespaces, files and processes of one host from another', async () => {
    await on('host-1', 'ip', 'netns', 'add', 'own')
    await on('host-1', 'sh', '-c', 'echo one > /etc/sluice-lab-test; echo one > /var/lib/sluice-lab-test')
    expect((await on('host-1', 'ip', 'netns', 'list')).stdout.trim()).toBe('own')
    expect((await on('host-2', 'ip', 'netns', 'list')).stdout.trim()).toBe('')
    expect((await on('host-2', 'ls', '/etc/sluice-lab-test')).exitCode).not.toBe(0)
    expect(existsSync('/etc/sluice-lab-test') || existsSync('/var/lib/sluice-lab-test')).toBe(false)
    expect((await on('host-2', 'pgrep', '-c', 'sleep')).stdout.trim()).toBe('1')
  })

  test('has links that can be cut and healed, one segment or both', async () => {
    await changeLab(settings, (lab) => cutHost(lab, 'host-3', ['underlay']))
    expect(await canReach('host-1', '198.18.0.3')).toBe(false)
    expect((await on('host-3', 'cat', '/sys/class/net/uplink0/carrier')).stdout.trim()).toBe('1')
    expect((await on('host-3', 'cat', '/sys/class/net/underlay0/carrier')).stdout.trim()).toBe('0')
    expect(observeLab(settings).hosts[2]?.cut).toEqual(['underlay'])
    await changeLab(settings, (lab) => healHost(lab, 'host-3', ['uplink', 'underlay']))
    await reaches('host-1', '198.18.0.3')
  })

  test('has hosts whose plug can be pulled: only their disk outlives it', async () => {
    await on('host-2', 'sh', '-c', 'echo kept > /etc/kept; echo lost > /run/lost; ip netns add lost')
    await on('host-2', 'sh', '-c', 'setsid sleep 99 </dev/null >/dev/null 2>&1 &')
    expect((await on('host-2', 'pgrep', '-c', 'sleep')).stdout.trim()).toBe('2')
    await changeLab(settings, (lab) => killHost(lab, 'host-2'))
    expect(observeLab(settings).hosts[1]?.status).toBe('off')
    expect(observeLab(settings).status).toBe('running')
    expect(await canReach('host-1', '198.18.0.2')).toBe(false)
    expect(await changeLab(settings, (lab) => bootHostAgain(lab, 'host-2'))).toBe(true)
    expect(await changeLab(settings, (lab) => bootHostAgain(lab, 'host-2'))).toBe(false)
    await reaches('host-1', '198.18.0.2')
    expect((await on('host-2', 'sh', '-c', 'cat /etc/kept; ls /run/lost /run/netns; pgrep -c sleep')).stdout).toBe(
      'kept\n/run/netns:\n1\n',
    )
  })

  test('runs commands by `sluice lab exec`, with their input, output and exit code', async () => {
    expect(await sluice(['lab', 'exec', 'host-1', '--', 'sh', '-c', 'cat; hostname >&2; exit 7'], 'in')).toEqual({
      exitCode: 7,
      stdout: 'in',
      stderr: 'host-1\n',
    })
    expect((await sluice(['lab', 'exec', 'nobody', '--', 'true'])).stderr).toBe(
      'sluice: this lab has no host "nobody"; it has host-1, host-2, host-3\n',
    )
  })

  test('goes without a trace after all of this', async () => {
    await takeLabDown(settings)
    await expectNothingLeft()
  })
})

describe('a lab that was killed', () => {
  /** Of the time that `lab up` takes with the start of its program: points before, within and after its work. */
  const killPoints = Array.from({ length: 24 }, (_, turn) => 40 + turn * 12)

  test('half-way, at many points, is cleaned up and started by the next `up`', async () => {
    for (const milliseconds of killPoints) {
      const child = Bun.spawn([process.execPath, 'cli/main.ts', 'lab', 'up', '--bare', '--hosts', '3'], {
        cwd: repository,
        env: { ...process.env, SLUICE_LAB: settings.name },
        stdout: 'ignore',
        stderr: 'ignore',
      })
      await Bun.sleep(milliseconds)
      child.kill('SIGKILL')
      await child.exited
      await up()
      await reaches('host-1', '198.18.0.3')
      await takeLabDown(settings)
      await expectNothingLeft()
    }
  })

  test('half-way, at many points of its end, is ended by the next `down`', async () => {
    for (const milliseconds of killPoints) {
      await up()
      const child = Bun.spawn([process.execPath, 'cli/main.ts', 'lab', 'down'], {
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
  })

  test('as a whole, every process of it, is started anew', async () => {
    await up()
    await killProcesses(findMarkedProcesses(markVariable, markOf(settings.name)))
    expect(observeLab(settings).status).toBe('broken')
    expect((await up()).kind).toBe('started')
    await reaches('host-1', '198.18.0.3')
    await takeLabDown(settings)
    await expectNothingLeft()
  })
})

describe('what is not the lab’s', () => {
  const configuration = '/run/foreign-haproxy.cfg'

  test('stays: a bridge, a namespace, and a haproxy in it', async () => {
    await Bun.$`ip link add foreign0 type bridge && ip netns add foreign && ip link set foreign0 up`.quiet()
    const timeouts = 'timeout client 1s\n  timeout server 1s\n  timeout connect 1s'
    await Bun.write(configuration, `defaults\n  mode tcp\n  ${timeouts}\nlisten foreign\n  bind 127.0.0.1:8181\n`)
    const haproxy = Bun.spawn(['ip', 'netns', 'exec', 'foreign', 'haproxy', '-db', '-f', configuration], {
      stdout: 'ignore',
      stderr: 'ignore',
    })
    await waitUntil(() => readFileSync(`/proc/${haproxy.pid}/comm`, 'utf8') === 'haproxy\n', {
      what: () => 'haproxy to start',
      timeoutSeconds: 5,
    })
    const beside = snapshotMachine()
    await up()
    await killProcesses(findMarkedProcesses(markVariable, markOf(settings.name)))
    await up()
    await takeLabDown(settings)
    const isSame = () => JSON.stringify(snapshotMachine()) === JSON.stringify(beside)
    await waitUntil(isSame, { what: () => 'the machine to be as before', timeoutSeconds: 5 }).catch(() => undefined)
    expect(snapshotMachine()).toEqual(beside)
    haproxy.kill('SIGKILL')
    await haproxy.exited
    await Bun.$`ip netns delete foreign && umount -n /run/netns && ip link delete foreign0 && rm ${configuration}`.quiet()
  })

  test('stays, even a link that has the name of the lab’s: `up` and `down` say so', async () => {
    const link = machineLink(settings.name)
    await Bun.$`ip link add ${link} type bridge`.quiet()
    await Bun.$`mkdir -p ${settings.stateFolder}`
    await expect(up()).rejects.toThrow(`${link} is not this lab's link`)
    await expect(takeLabDown(settings)).rejects.toThrow('its alias is ""')
    expect(existsSync(`/sys/class/net/${link}`)).toBe(true)
    await Bun.$`ip link delete ${link}`.quiet()
    await takeLabDown(settings)
    await expectNothingLeft()
  })
})
