/**
 * A host joins a real controller by one command on a machine with systemd: the unit is installed, hardened, and runs; what
 * runs on the host outlives its agent; a host that is removed is thrown out. The machine is a systemd of its own in
 * namespaces. Needs root and the agent's binary:
 *   scripts/sandbox bun test ./test/lab/enrolment.lab.ts
 */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { readSettings } from '../../controller/settings.ts'
import { type StartedController, startController } from '../../controller/start-controller.ts'
import { until } from './agent-hosts.ts'

/** Long enough for a machine that has much else to do: what is awaited comes within a second or two on an idle one. */
const waitSeconds = 90
setDefaultTimeout(4 * 1000 * waitSeconds)

const repository = join(import.meta.dir, '../..')
/** Where the box has it: the repository may lie where the box sees nothing of this machine. */
const agentBinary = '/usr/local/bin/sluice-agent'
const url = 'http://198.18.0.254:7480'

let folder: string
let controller: StartedController | undefined
let box: Bun.Subprocess | undefined
let boxPid: number
let token: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-enrolment-'))
  ;({ box, boxPid } = await bootBox())
  await run(['ip', '-batch', '-'], {
    input: [
      `link add enrol-under type veth peer name under0 netns ${boxPid}`,
      `link add enrol-up type veth peer name up0 netns ${boxPid}`,
      'address add 198.18.0.254/24 dev enrol-under',
      'address add 198.18.32.1/20 dev enrol-up',
      'link set enrol-under up',
      'link set enrol-up up\n',
    ].join('\n'),
  })
  await inBox('ip', 'address', 'add', '198.18.0.1/24', 'dev', 'under0')
  for (const device of ['under0', 'up0']) await inBox('ip', 'link', 'set', device, 'up')
  controller = await startController(
    readSettings({
      SLUICE_LISTEN: '198.18.0.254:7480',
      SLUICE_NATS_LISTEN: '198.18.0.254:4222',
      SLUICE_STATE_FOLDER: join(folder, 'state'),
      SLUICE_UPLINK_CIDR: '198.18.32.0/20',
      SLUICE_UPLINK_GATEWAY: '198.18.32.1',
    }),
    pino({ level: 'silent' }),
  )
  token = readFileSync(join(folder, 'state/admin-token'), 'utf8').trim()
})

afterAll(async () => {
  await controller?.close()
  box?.kill('SIGKILL')
  await box?.exited
  for (const device of ['enrol-under', 'enrol-up']) await attempt(['ip', 'link', 'delete', device])
  rmSync(folder, { recursive: true, force: true })
})

interface Finished {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

async function attempt(argv: readonly string[], options: { readonly input?: string } = {}): Promise<Finished> {
  const child = Bun.spawn([...argv], {
    stdin: Buffer.from(options.input ?? ''),
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { exitCode, stdout, stderr }
}

async function run(argv: readonly string[], options: { readonly input?: string } = {}): Promise<string> {
  const { exitCode, stdout, stderr } = await attempt(argv, options)
  if (exitCode !== 0) throw new Error(`${argv.join(' ')} ended with ${exitCode}: ${stderr || stdout}`)
  return stdout
}

/** By the box's own root, which is an overlay. */
const enterBox = (argv: readonly string[]) => [
  ...['nsenter', '-t', String(boxPid), '--net', '--mount', '--pid', '--uts', '--ipc', '--cgroup'],
  ...['--', 'chroot', '/mnt/root', ...argv],
]
const inBox = (...argv: readonly string[]) => run(enterBox(argv))
const tryInBox = (...argv: readonly string[]) => attempt(enterBox(argv))

async function bootBox(): Promise<{ box: Bun.Subprocess; boxPid: number }> {
  const namespaces = ['--net', '--mount', '--pid', '--uts', '--ipc', '--cgroup', '--fork', '--kill-child']
  const started = Bun.spawn(
    ['unshare', ...namespaces, 'sh', join(import.meta.dir, 'systemd-box.sh'), join(repository, 'dist/sluice-agent')],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  )
  boxPid = await until('the box has its process 1', () => {
    const children = readFileSync(`/proc/${started.pid}/task/${started.pid}/children`, 'utf8').trim()
    const first = Number(children.split(' ')[0])
    return first > 0 && readFileSync(`/proc/${first}/comm`, 'utf8').trim() === 'systemd' && first
  })
  await until(
    'systemd has booted',
    async () => {
      const { stdout } = await tryInBox('systemctl', 'is-system-running')
      return stdout.trim() === 'running' || stdout.trim() === 'degraded'
    },
    waitSeconds,
  )
  return { box: started, boxPid }
}

type Shown = Readonly<Record<string, unknown>> & { readonly id: string; readonly status: string }

async function ask(method: string, path: string, body?: unknown): Promise<{ status: number; body: Shown }> {
  const response = await fetch(`${url}/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, body: (text === '' ? {} : JSON.parse(text)) as Shown }
}

async function make(path: string, body: unknown): Promise<Shown> {
  const made = await ask('POST', path, body)
  if (made.status >= 300) throw new Error(`POST ${path}: ${made.status} ${JSON.stringify(made.body)}`)
  return made.body
}

const untilStatus = (path: string, status: string) =>
  until(`${path} is ${status}`, async () => (await ask('GET', path)).body.status === status, waitSeconds)

const joinBox = (joinToken: string, controllerUrl = url) =>
  tryInBox(agentBinary, 'join', controllerUrl, joinToken, '--uplink', 'up0', '--underlay', 'under0')

let host: Shown
let projectId: string
let machineId: string

test('a host joins with one command, and its agent runs as a unit', async () => {
  host = await make('/hosts', { name: 'host-1' })
  expect(host.status).toBe('awaiting-join')
  const joined = await joinBox(String(host.joinToken))
  expect(joined.stderr).toBe('')
  expect(joined.stdout).toContain('this host has joined as host-1; its agent runs as sluice-agent.service')
  await untilStatus(`/hosts/${host.id}`, 'active')
  expect((await inBox('systemctl', 'is-enabled', 'sluice-agent')).trim()).toBe('enabled')
})

test('joining again, as after a cut, is as good as once', async () => {
  const again = await joinBox(String(host.joinToken))
  expect(again.stderr).toBe('')
  await untilStatus(`/hosts/${host.id}`, 'active')
})

test('a token that has been used is no good to anybody else', async () => {
  await inBox('cp', '-r', '/etc/sluice-agent', '/etc/kept')
  await inBox('rm', '-r', '/etc/sluice-agent')
  const stolen = await joinBox(String(host.joinToken))
  expect(stolen.exitCode).toBe(1)
  expect(stolen.stderr).toContain("Make a new one with 'sluice host add host-1'")
  await inBox('rm', '-rf', '/etc/sluice-agent')
  await inBox('mv', '/etc/kept', '/etc/sluice-agent')
})

test('machines and balancers run in units of their own, in namespaces that all can see', async () => {
  await untilStatus(`/hosts/${host.id}`, 'active')
  projectId = (await make('/projects', { name: 'enrolment', user: 'john' })).id
  const poolId = (await make('/pools', { name: 'pool', projectId, cidr: '10.77.0.0/16' })).id
  const networkId = (await make('/networks', { name: 'network', projectId })).id
  await make('/shards', { poolId, networkId, sizeAddresses: 256 })
  const workloads = [{ kind: 'web', port: 80 }]
  machineId = (await make('/machines', { name: 'web-1', projectId, networkId, workloads })).id
  await untilStatus(`/machines/${machineId}`, 'active')
  const balancer = await make('/load-balancers', {
    ...{ name: 'balancer', projectId, networkId, trafficType: 'http', instanceCount: 1 },
    ...{ listeners: [{ port: 80 }], members: [{ machineId }] },
  })
  await untilStatus(`/load-balancers/${balancer.id}`, 'active')
  const [vip] = (await ask('GET', `/load-balancers/${balancer.id}`)).body.vips as string[]
  await until(
    'the VIP answers',
    async () => {
      const { stdout } = await attempt(['curl', '--silent', '--max-time', '1', `http://${vip}/`])
      return stdout.includes('web-1')
    },
    waitSeconds,
  )
  for (const daemon of ['haproxy', 'keepalived', 'dnsmasq', 'workload-web-80']) {
    await until(
      `${daemon} runs in a unit`,
      async () => {
        const units = await inBox('systemctl', 'list-units', '--plain', '--no-legend', `sluice-${daemon}-*`)
        return / active +running /.test(units)
      },
      waitSeconds,
    )
  }
})

test('what runs on the host outlives its agent, which systemd starts again', async () => {
  const property = async (unit: string, name: string) =>
    (await inBox('systemctl', 'show', '--value', '--property', name, unit)).trim()
  const workload = `sluice-workload-web-80-${machineId}`
  const before = { agent: await property('sluice-agent', 'MainPID'), workload: await property(workload, 'MainPID') }
  await inBox('systemctl', 'kill', '--signal=KILL', 'sluice-agent')
  await until(
    'another agent',
    async () => {
      const pid = await property('sluice-agent', 'MainPID')
      return pid !== '0' && pid !== before.agent
    },
    waitSeconds,
  )
  await inBox('systemctl', 'restart', 'sluice-agent')
  await untilStatus(`/machines/${machineId}`, 'active')
  expect(await property(workload, 'MainPID')).toBe(before.workload)
})

test('a host that runs something is not removed; an idle one is, and its agent is thrown out', async () => {
  const refused = await ask('DELETE', `/hosts/${host.id}`)
  expect(refused.status).toBe(409)
  expect(String(refused.body.detail)).toContain('web-1')
  const balancers = (await ask('GET', `/load-balancers?projectId=${projectId}`)).body.items as Shown[]
  for (const path of [...balancers.map(({ id }) => `/load-balancers/${id}`), `/machines/${machineId}`]) {
    await ask('DELETE', path)
    await until(`${path} is gone`, async () => (await ask('GET', path)).status === 404, waitSeconds)
  }
  expect((await ask('DELETE', `/hosts/${host.id}`)).status).toBeLessThan(300)
  await until(
    'the bus refuses the agent',
    async () => {
      const { stdout } = await tryInBox('journalctl', '--unit=sluice-agent', '--no-pager', '--lines=50')
      return /authoriz|revoked/i.test(stdout)
    },
    waitSeconds,
  )
})
