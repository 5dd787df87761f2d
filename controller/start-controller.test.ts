import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { createHash, createHmac } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type KV, Kvm } from '@nats-io/kv'
import { createUser } from '@nats-io/nkeys'
import { connect, jwtAuthenticator, type NatsConnection } from '@nats-io/transport-node'
import pino from 'pino'
import * as v from 'valibot'
import { joinAnswerSchema } from '../agent/contract/enrolment.ts'
import { type HostInstructions, hostInstructionsSchema } from '../agent/contract/host-instructions.ts'
import { desiredBucket, inboxPrefix, instructionsKey, reportKey, statusBucket } from '../agent/contract/subjects.ts'
import { findFreePort } from './control-plane/test-nats-server.ts'
import { readSettings } from './settings.ts'
import { type StartedController, startController } from './start-controller.ts'
import { makeTestReport } from './test-rack.ts'

setDefaultTimeout(120_000)

const uplink = { SLUICE_UPLINK_CIDR: '198.18.32.0/20', SLUICE_UPLINK_GATEWAY: '198.18.32.1' }

describe('the environment', () => {
  test('has defaults for all but the uplink', () => {
    expect(readSettings(uplink)).toMatchObject({
      listen: ['127.0.0.1:7480'],
      natsListen: '127.0.0.1:4222',
      adminTokenFile: '/var/lib/sluice/admin-token',
      controller: { uplinkCidr: '198.18.32.0/20', advertIntervalSeconds: 0.05 },
    })
  })

  const wrong: readonly (readonly [string, Record<string, string>, string])[] = [
    ['without an uplink', {}, 'SLUICE_UPLINK_CIDR'],
    ['with a misaligned uplink', { ...uplink, SLUICE_UPLINK_CIDR: '198.18.32.1/20' }, 'must be an aligned IPv4 block'],
    ['with a gateway elsewhere', { ...uplink, SLUICE_UPLINK_GATEWAY: '10.0.0.1' }, 'is not within SLUICE_UPLINK_CIDR'],
    [
      'with no number of seconds',
      { ...uplink, SLUICE_ADVERT_INTERVAL_SECONDS: 'often' },
      'SLUICE_ADVERT_INTERVAL_SECONDS',
    ],
    ['with nowhere to listen', { ...uplink, SLUICE_LISTEN: ' , ' }, 'SLUICE_LISTEN must name an address'],
  ]
  for (const [sentence, environment, words] of wrong) {
    test(`${sentence} is refused with the variable's name`, () =>
      expect(() => readSettings(environment)).toThrow(words))
  }
})

/** An agent that does at once what it is told, with nothing behind it. */
class FakeAgent {
  readonly statements: HostInstructions[] = []
  readonly host: string
  #connection: NatsConnection
  constructor(host: string, connection: NatsConnection) {
    this.host = host
    this.#connection = connection
  }

  async follow(bucket: KV): Promise<void> {
    for await (const entry of await bucket.watch({ key: instructionsKey(this.host) })) {
      if (entry.operation !== 'PUT') continue
      this.statements.push(v.parse(hostInstructionsSchema, entry.json()))
      this.report()
    }
  }

  report(): void {
    const homes = ({ vips }: HostInstructions['instances'][number]) =>
      vips.flatMap(({ home, address }) => (home ? [address] : []))
    const report = makeTestReport(this.host, this.statements.at(-1), homes)
    this.#connection.publish(`$KV.${statusBucket}.${reportKey(this.host)}`, JSON.stringify(report))
  }

  close = () => this.#connection.close()
}

describe('a controller on a nats-server of its own', () => {
  let folder: string
  let url: string
  let environment: Record<string, string>
  let controller: StartedController
  let agents: FakeAgent[] = []
  let timer: ReturnType<typeof setInterval>

  const start = async () => {
    controller = await startController(readSettings(environment), pino({ level: 'silent' }))
    url = controller.urls[0] ?? ''
  }

  async function call(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; body: Record<string, unknown> }> {
    const token = (await readFile(join(folder, 'admin-token'), 'utf8')).trim()
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? {} : JSON.parse(text) }
  }

  async function make(path: string, body: unknown): Promise<Record<string, unknown>> {
    const answer = await call('POST', path, body)
    if (answer.status >= 300) throw new Error(JSON.stringify(answer.body))
    return answer.body
  }

  async function joinHost(name: string, underlayAddress: string): Promise<FakeAgent> {
    const { joinToken } = await make('/v1/hosts', { name })
    const [, , tokenId, secret] = String(joinToken).split('.')
    const user = createUser()
    const publicKey = user.getPublicKey()
    const key = createHash('sha256')
      .update(secret ?? '')
      .digest('hex')
    const proof = createHmac('sha256', key).update(`${name}\n${publicKey}\n${underlayAddress}`).digest('hex')
    const joined = await make(`/v1/hosts/${name}/join`, {
      tokenId,
      publicKey,
      proof,
      underlayAddress,
      agentVersion: 'test',
    })
    const { natsServers, caCertificate, userJwt } = v.parse(joinAnswerSchema, joined)
    const connection = await connect({
      servers: natsServers,
      tls: { ca: caCertificate },
      inboxPrefix: inboxPrefix(name),
      maxReconnectAttempts: -1,
      reconnectTimeWait: 100,
      authenticator: jwtAuthenticator(userJwt, user.getSeed()),
    })
    const agent = new FakeAgent(name, connection)
    agent.follow(await new Kvm(connection).open(desiredBucket)).catch(() => undefined)
    agent.report()
    return agent
  }

  async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
    const deadline = performance.now() + 60_000
    while (!(await isSo())) {
      if (performance.now() > deadline) throw new Error(`waited in vain: ${what}`)
      await Bun.sleep(20)
    }
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-controller-'))
    environment = {
      ...uplink,
      SLUICE_LISTEN: '127.0.0.1:0',
      SLUICE_NATS_LISTEN: `127.0.0.1:${await findFreePort()}`,
      SLUICE_STATE_FOLDER: folder,
    }
    await start()
    agents = await Promise.all(['a', 'b'].map((name, i) => joinHost(name, `198.18.0.${i + 1}`)))
    timer = setInterval(() => {
      for (const agent of agents) agent.report()
    }, 500)
    await until('the hosts to be active', async () => {
      const { body } = await call('GET', '/v1/hosts')
      return (body.items as { status: string }[]).filter(({ status }) => status === 'active').length === 2
    })
  })

  afterAll(async () => {
    clearInterval(timer)
    await Promise.all(agents.map((agent) => agent.close()))
    await controller.close()
    await rm(folder, { recursive: true, force: true })
  })

  test('has a balancer served by its hosts, keeps it over a restart, and takes it away', async () => {
    const { id: projectId } = await make('/v1/projects', { name: 'shop', user: 'john' })
    const { id: poolId } = await make('/v1/pools', { name: 'pool', projectId, cidr: '10.0.0.0/16' })
    const { id: networkId } = await make('/v1/networks', { name: 'net', projectId })
    await make('/v1/shards', { poolId, networkId, sizeAddresses: 64 })
    const machine = await make('/v1/machines?wait=true&timeout=60s', { name: 'web-1', projectId, networkId })
    expect(machine).toMatchObject({ status: 'active', addresses: ['10.0.0.2'] })
    const balancer = await make('/v1/load-balancers?wait=true&timeout=60s', {
      name: 'web',
      projectId,
      networkId,
      trafficType: 'http',
      listeners: [{ port: 80 }],
      members: [{ machineId: machine.id }],
    })
    expect(balancer).toMatchObject({
      status: 'active',
      url: 'http://198.18.32.10',
      vips: ['198.18.32.10', '198.18.32.11'],
    })

    const generations = () => agents.map(({ statements }) => statements.at(-1)?.generation ?? 0)
    const before = generations()
    await controller.close()
    await start()
    const shown = await call('GET', `/v1/load-balancers/${balancer.id}`)
    expect(shown.body).toMatchObject({ id: balancer.id, vips: balancer.vips })
    await until('the balancer to be active again', async () => {
      return (await call('GET', `/v1/load-balancers/${balancer.id}`)).body.status === 'active'
    })
    expect(generations()).toEqual(before)

    const removed = await call('DELETE', `/v1/load-balancers/${balancer.id}?wait=true&timeout=60s`)
    expect(removed.status).toBeLessThan(300)
    expect((await call('GET', `/v1/load-balancers/${balancer.id}`)).status).toBe(404)
    for (const [i, generation] of generations().entries()) expect(generation).toBeGreaterThan(before[i] ?? 0)
    for (const { statements } of agents) {
      const counted = statements.map(({ generation }) => generation)
      expect(counted).toEqual(counted.toSorted((a, b) => a - b))
    }
  })

  test('lists its events, and what happened once is told once', async () => {
    const { body } = await call('GET', '/v1/events?format=json&limit=1000')
    const types = (body.items as { type: string }[]).map(({ type }) => type)
    for (const type of ['load-balancer.created', 'load-balancer.deleted', 'machine.activated']) {
      expect(types.filter((one) => one === type)).toEqual([type])
    }
  })
})
