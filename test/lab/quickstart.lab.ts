/**
 * What somebody sees who brings a lab up and declares examples/quickstart: traffic, status, changes under load, foreign
 * things untouched, and nothing left when all is deleted. Runs in a sandbox:
 *   scripts/check lab test/lab/quickstart.lab.ts
 */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import * as v from 'valibot'
import { type Load, startLoad } from '../../bench/load/start-load.ts'
import { findDaemonProcesses } from '../../bench/system/processes.ts'
import { pageSchema } from '../../controller/contract/common.ts'
import { type LoadBalancer, loadBalancerSchema, memberSchema } from '../../controller/contract/load-balancer.ts'
import { hostKind, reservationKind, tokenKind } from '../../controller/objects.ts'
import { bringLabUp, enterArgv, labSettings, openLab, silentProgress, takeLabDown } from '../../lab/lab.ts'
import { waitUntil } from '../../lab/wait.ts'
import { findOrphans } from './find-orphans.ts'
import { createForeignThings, type ForeignThings } from './foreign-things.ts'
import { createOutside, finish, type Outside, repository } from './lab-client.ts'
import { readWorld } from './lab-world.ts'
import { requireSandbox } from './machine-snapshot.ts'

setDefaultTimeout(120_000)
const settings = labSettings({ name: 'quick', hosts: 3 })
const settleSeconds = 60
const sweepSeconds = 90

let outside: Outside
let foreign: ForeignThings
let balancer: LoadBalancer

beforeAll(async () => {
  requireSandbox()
  await bringLabUp(settings, silentProgress)
  outside = createOutside(settings)
  foreign = await createForeignThings(outside, 'host-1')
  const declared = await finish([process.execPath, 'examples/quickstart/declare.ts'], repository, outside.environment())
  if (declared.exitCode !== 0) throw new Error(`the declaration failed: ${declared.stdout}${declared.stderr}`)
  balancer = await findBalancer('web')
})

afterAll(async () => {
  await takeLabDown(settings)
})

async function must<Schema extends v.GenericSchema>(schema: Schema, method: string, path: string, body?: unknown) {
  const answer = await outside.ask(method, path, { body })
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}`)
  return v.parse(schema, answer.body)
}

const idSchema = v.object({ id: v.string() })
const create = async (noun: string, body: unknown) => (await must(idSchema, 'POST', `/v1/${noun}?wait=true`, body)).id

async function list<Schema extends v.GenericSchema>(noun: string, schema: Schema) {
  return (await must(pageSchema(schema), 'GET', `/v1/${noun}`)).items
}

async function findBalancer(name: string): Promise<LoadBalancer> {
  const found = (await list('load-balancers', loadBalancerSchema)).find((one) => one.name === name)
  if (found === undefined) throw new Error(`there is no load balancer ${name}`)
  return found
}

/** A machine is active before the program in it listens; whether it does is told by the health of the member. */
async function membersHealthy(name: string): Promise<LoadBalancer> {
  let found = await findBalancer(name)
  const isHealthy = async () => {
    found = await findBalancer(name)
    return found.status === 'active' && found.members.every(({ status }) => status === 'healthy')
  }
  await waitUntil(isHealthy, {
    what: () => `all members of ${name} to be healthy: ${JSON.stringify(found.members)}`,
    timeoutSeconds: settleSeconds,
    intervalMilliseconds: 50,
  })
  return found
}

const pathOf = (one: { readonly id: string }) => `/v1/load-balancers/${one.id}`
const vipOf = (one: LoadBalancer) => one.vips[0] ?? 'no VIP'

describe('the declared load balancer', () => {
  test('answers 30 requests by each VIP, 10 by each machine', async () => {
    expect(balancer.vips).toHaveLength(2)
    for (const vip of balancer.vips) {
      const counts = Map.groupBy(await outside.askMany(`http://${vip}/`, 30), (answer) => answer.split(' ')[0])
      expect(Object.fromEntries([...counts].map(([name, answers]) => [name, answers.length]))).toEqual({
        'web-1': 10,
        'web-2': 10,
        'web-3': 10,
      })
    }
  })

  test('has its two instances on different hosts', () => {
    expect(new Set(balancer.instances.map(({ host }) => host)).size).toBe(2)
  })

  test('is shown by `sluice status --json` in the shape that programs rely on', async () => {
    const { exitCode, stdout } = await outside.sluice(['status', '--json'])
    expect(exitCode).toBe(0)
    const text = expect.any(String)
    const instance = { id: text, host: expect.stringMatching(/^host-[123]$/), driver: 'netns', status: 'active' }
    const status = JSON.parse(stdout)
    status.hosts.sort((one: { name: string }, other: { name: string }) => one.name.localeCompare(other.name))
    expect(status).toMatchObject({
      controller: { url: 'http://127.0.0.1:7480', version: text },
      store: { mode: 'embedded', status: 'available' },
      hosts: ['host-1', 'host-2', 'host-3'].map((name) => ({ name, status: 'active' })),
      loadBalancers: [
        {
          name: 'web',
          projectId: balancer.projectId,
          url: `http://web.quickstart.${settings.name}.test`,
          status: 'active',
          vips: balancer.vips,
          instances: [instance, instance],
          members: [11, 12, 13].map((last) => ({ address: `198.18.16.${last}`, status: 'healthy' })),
        },
      ],
    })
  })

  test('has its controller and token printed by `sluice lab env`, for a shell', async () => {
    const { stdout } = await outside.sluice(['lab', 'env'])
    const { SLUICE_ADDR, SLUICE_TOKEN } = outside.environment()
    expect(stdout).toBe(`SLUICE_ADDR=${SLUICE_ADDR}\nSLUICE_TOKEN=${SLUICE_TOKEN}\n`)
  })

  test('declared again, is left as it is', async () => {
    const before = await findBalancer('web')
    const again = await finish([process.execPath, 'examples/quickstart/declare.ts'], repository, outside.environment())
    expect([again.exitCode, again.stderr]).toEqual([0, ''])
    expect((await findBalancer('web')).version).toBe(before.version)
  })

  test('is left as it is by a second `lab up`, which says that it runs', async () => {
    const pids = openLab(settings).state.hosts.map(({ process }) => process?.pid)
    const { exitCode, stdout } = await outside.sluice(['lab', 'up'])
    expect([exitCode, stdout]).toEqual([0, 'lab "quick" runs already; nothing was changed\n'])
    expect(openLab(settings).state.hosts.map(({ process }) => process?.pid)).toEqual(pids)
  })
})

describe('under a steady load', () => {
  const quiet = 'nothing is done'
  let load: Load
  let members: readonly { readonly id: string; readonly address: string | null }[]

  beforeAll(async () => {
    members = balancer.members
    await must(v.unknown(), 'PATCH', `${pathOf(balancer)}?wait=true`, { timeouts: { drainSeconds: 2 } })
    const common = { projectId: balancer.projectId, networkId: balancer.networkId }
    await create('machines', {
      ...common,
      name: 'web-4',
      address: '198.18.16.14',
      workloads: [{ kind: 'web', port: 80 }],
    })
    await create('machines', {
      ...common,
      name: 'web-5',
      address: '198.18.16.15',
      workloads: [{ kind: 'web', port: 80 }],
    })
    load = await startLoad(openLab(settings).state.client?.pid ?? 0, {
      targets: balancer.vips.map((address) => ({ address, port: 80 })),
      connections: 8,
      requestsPerSecond: 400,
      timeoutMilliseconds: 10_000,
      requestsPerConnection: 20,
      phase: quiet,
    })
  })

  afterAll(async () => {
    await load?.stop()
  })

  const haproxies = () => balancer.instances.flatMap(({ id }) => findDaemonProcesses(id, 'haproxy')).toSorted()
  const statusOf = async (id: string) => (await findBalancer('web')).members.find((one) => one.id === id)?.status
  const answersOf = async (address: string) =>
    (await outside.askMany(`http://${vipOf(balancer)}/`, 12)).filter((answer) => answer.endsWith(` ${address}`)).length

  test('a member is added, given another address and removed, by the very same processes of haproxy', async () => {
    const before = haproxies()
    expect(before).toHaveLength(4)
    const path = `${pathOf(balancer)}/members`
    await load.enterPhase('members that do not answer are added')
    for (const port of [81, 82, 83]) {
      const silent = await must(memberSchema, 'POST', `${path}?wait=true`, { address: '198.18.16.14', port })
      await waitUntil(async () => (await statusOf(silent.id)) === 'unhealthy', {
        what: () => 'a member that does not answer to be unhealthy',
        timeoutSeconds: settleSeconds,
      })
      await outside.ask('DELETE', `${path}/${silent.id}?wait=true`)
    }
    await load.enterPhase('a member is added')
    const added = await must(memberSchema, 'POST', `${path}?wait=true`, { address: '198.18.16.14', port: 80 })
    await membersHealthy('web')
    await waitUntil(async () => (await answersOf('198.18.16.14')) > 0, {
      what: () => 'the new member to answer',
      timeoutSeconds: settleSeconds,
    })
    await load.enterPhase('a member is given another address')
    await must(memberSchema, 'PATCH', `${path}/${added.id}?wait=true`, { address: '198.18.16.15' })
    await membersHealthy('web')
    await waitUntil(async () => (await answersOf('198.18.16.15')) > 0 && (await answersOf('198.18.16.14')) === 0, {
      what: () => 'the other address to answer, and the first one no more',
      timeoutSeconds: settleSeconds,
    })
    await load.enterPhase('a member is removed')
    await outside.ask('DELETE', `${path}/${added.id}?wait=true`)
    await membersHealthy('web')
    await waitUntil(async () => (await answersOf('198.18.16.15')) === 0, {
      what: () => 'the removed member to answer no more',
      timeoutSeconds: settleSeconds,
    })
    expect((await findBalancer('web')).members.map(({ id }) => id)).toEqual(members.map(({ id }) => id))
    expect(haproxies()).toEqual(before)
  })

  test('a listener is added by a reload: the same master, another worker', async () => {
    const before = haproxies()
    await load.enterPhase('a listener is added')
    const listeners = [{ port: 80 }, { port: 8080, memberPort: 80 }]
    await must(loadBalancerSchema, 'PATCH', `${pathOf(balancer)}?wait=true`, { listeners })
    for (const vip of balancer.vips) {
      await waitUntil(async () => (await outside.askMany(`http://${vip}:8080/`, 1))[0] !== '', {
        what: () => `${vip}:8080 to answer`,
        timeoutSeconds: settleSeconds,
      })
    }
    // The old worker ends when its last connection does.
    await waitUntil(() => haproxies().filter((pid) => before.includes(pid)).length === 2, {
      what: () => 'the old workers to end',
      timeoutSeconds: settleSeconds,
      intervalMilliseconds: 100,
    }).catch(() => undefined)
    expect(haproxies().filter((pid) => before.includes(pid)).length).toBeLessThan(before.length)
    await load.enterPhase('a listener is removed')
    await must(loadBalancerSchema, 'PATCH', `${pathOf(balancer)}?wait=true`, { listeners: [{ port: 80 }] })
    await waitUntil(async () => (await outside.askMany(`http://${vipOf(balancer)}:8080/`, 1))[0] === '', {
      what: () => 'port 8080 to be closed',
      timeoutSeconds: settleSeconds,
    })
  })

  test('none of its requests has failed', async () => {
    const phases = await load.end()
    expect(phases.map(({ name, failures }) => [name, failures])).toEqual(phases.map(({ name }) => [name, []]))
    expect(phases.reduce((sum, { requests }) => sum + requests, 0)).toBeGreaterThan(500)
  })
})

describe('other load balancers', () => {
  test('a tcp one with two listeners gives back what its echo member gets', async () => {
    const { projectId, networkId } = balancer
    const machineId = await create('machines', {
      projectId,
      networkId,
      name: 'echo-1',
      workloads: [{ kind: 'echo', port: 7 }],
    })
    await create('load-balancers', {
      projectId,
      networkId,
      name: 'echo',
      trafficType: 'tcp',
      algorithm: 'least-connections',
      listeners: [{ port: 7 }, { port: 7007, memberPort: 7 }],
      members: [{ machineId }],
      healthCheck: { protocol: 'tcp', port: 7, intervalSeconds: 1, timeoutSeconds: 1 },
    })
    const { vips, url } = await membersHealthy('echo')
    expect(url).toBe(`tcp://echo.quickstart.${settings.name}.test:7`)
    for (const vip of vips) {
      for (const port of [7, 7007]) {
        const script = `exec 3<>/dev/tcp/${vip}/${port}; echo hello ${port} >&3; read -r -t 3 -u 3 line; echo "$line"`
        const answer = await outside.on('client', 'bash', '-c', script)
        expect(answer).toEqual({ exitCode: 0, stdout: `hello ${port}\n`, stderr: '' })
      }
    }
  })

  test('an http one tells its members by X-Forwarded-For who asks', async () => {
    const { projectId, networkId } = balancer
    const machine = await must(v.object({ id: v.string(), host: v.string() }), 'POST', '/v1/machines?wait=true', {
      projectId,
      networkId,
      name: 'mirror',
      address: '198.18.16.40',
    })
    const program = `Bun.serve({ port: 80, fetch: (request) => new Response(request.headers.get('x-forwarded-for')) })`
    const enter = ['ip', 'netns', 'exec', machine.id, process.execPath, '-e', program]
    const server = Bun.spawn([...enterArgv(openLab(settings), machine.host, enter)], { stdout: 'ignore' })
    try {
      await create('load-balancers', {
        projectId,
        networkId,
        name: 'mirror',
        trafficType: 'http',
        listeners: [{ port: 80 }],
        members: [{ url: 'http://198.18.16.40:80' }],
        healthCheck: { protocol: 'http', intervalSeconds: 1, timeoutSeconds: 1 },
      })
      const { vips } = await membersHealthy('mirror')
      expect(await outside.askMany(`http://${vips[0]}/`, 1)).toEqual(['198.18.48.2'])
    } finally {
      server.kill('SIGKILL')
      await server.exited
    }
  })
})

test('two projects with the same addresses do not reach each other', async () => {
  const projectId = await create('projects', { name: 'twin', user: 'jane' })
  const networkId = await create('networks', { name: 'twin', projectId })
  const poolId = await create('pools', { name: 'twin', projectId, cidr: '198.18.16.0/24' })
  await create('shards', { poolId, networkId, cidr: '198.18.16.0/24' })
  const placed = v.object({ id: v.string(), host: v.string() })
  const twins: v.InferOutput<typeof placed>[] = []
  for (const last of [11, 50]) {
    const address = `198.18.16.${last}`
    const body = { name: `twin-${last}`, projectId, networkId, address, workloads: [{ kind: 'web', port: 80 }] }
    twins.push(await must(placed, 'POST', '/v1/machines?wait=true', body))
  }
  const [, asking] = twins
  if (asking === undefined) throw new Error('BUG: no twin')
  const ask = async (last: number) => {
    const curl = ['curl', '--silent', '--max-time', '1', `http://198.18.16.${last}/`]
    return (await outside.on(asking.host, 'ip', 'netns', 'exec', asking.id, ...curl)).stdout.split(' ')[0]
  }
  await waitUntil(async () => (await ask(11)) === 'twin-11', { what: () => 'the twin', timeoutSeconds: settleSeconds })
  expect([await ask(12), await ask(13)]).toEqual(['', ''])
  const answers = await outside.askMany(`http://${vipOf(balancer)}/`, 6)
  expect(new Set(answers.map((answer) => answer.split(' ')[0]))).toEqual(new Set(['web-1', 'web-2', 'web-3']))
})

test('what is not ours stays as it is while ours comes', async () => {
  expect(await foreign.ask()).toBe('200')
  expect((await foreign.describe()).split('\n').length).toBe(6)
})

test('nothing is orphaned, and nothing missing, while all of this is there', async () => {
  await waitUntil(async () => findOrphans(await readWorld(settings)).length === 0, {
    what: () => 'a world without orphans',
    timeoutSeconds: sweepSeconds,
    intervalMilliseconds: 1000,
  }).catch(() => undefined)
  expect(findOrphans(await readWorld(settings))).toEqual([])
})

describe('when all of it is deleted', () => {
  test('nothing of it is left, neither on hosts nor in the store; and what is not ours stays', async () => {
    const before = await foreign.describe()
    const nothing = v.unknown()
    const deleteAll = async (noun: string) => {
      const paths = (await list(noun, idSchema)).map(({ id }) => `/v1/${noun}/${id}?wait=true`)
      await Promise.all(paths.map((path) => must(nothing, 'DELETE', path)))
    }
    await deleteAll('load-balancers')
    await deleteAll('machines')
    const shardSchema = v.object({ id: v.string(), networkId: v.nullable(v.string()) })
    for (const { id, networkId } of await list('shards', shardSchema)) {
      await must(nothing, 'DELETE', `/v1/networks/${networkId}/shards/${id}`)
    }
    for (const noun of ['shards', 'pools', 'networks', 'projects']) await deleteAll(noun)
    const isEmpty = async () => {
      const world = await readWorld(settings)
      return world.hosts.every(({ aliases }) => aliases.length === 0) && world.daemons.length === 0
    }
    await waitUntil(isEmpty, { what: () => 'empty hosts', timeoutSeconds: settleSeconds }).catch(() => undefined)
    const world = await readWorld(settings)
    expect(world.hosts.map(({ namespaces, aliases }) => [namespaces, aliases])).toEqual([
      [['foreign'], []],
      [[], []],
      [[], []],
    ])
    expect(world.daemons).toEqual([])
    const rack = [...world.store.of(hostKind), ...world.store.of(tokenKind)].map(({ id }) => id)
    const left = world.store.of(reservationKind).filter(({ value }) => !rack.includes(value.ownerId))
    expect(left.map(({ value }) => value.words.join(' '))).toEqual([])
    expect(await foreign.describe()).toBe(before)
    expect(await foreign.ask()).toBe('200')
  })
})
