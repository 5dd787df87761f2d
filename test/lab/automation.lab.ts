/**
 * Programs that live on what happens: `sluice events --follow`, the stream with its replay, and a program on NATS with
 * read-only credentials that acts on its own project's events and is refused another's. Runs in a sandbox:
 *   scripts/check lab test/lab/automation.lab.ts
 */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { connect, credsAuthenticator } from '@nats-io/transport-node'
import * as v from 'valibot'
import { startJsonLines } from '../../bench/json-lines.ts'
import { parseServerSentEvents } from '../../cli/server-sent-events.ts'
import { type CloudEvent, cloudEventSchema, eventTypes } from '../../controller/contract/events.ts'
import { loadBalancerSchema } from '../../controller/contract/load-balancer.ts'
import { tokenCreatedSchema } from '../../controller/contract/project.ts'
import {
  bootController,
  bringLabUp,
  killController,
  labSettings,
  loopbackUrl,
  openLab,
  silentProgress,
  takeLabDown,
} from '../../lab/lab.ts'
import { waitUntil } from '../../lab/wait.ts'
import { createOutside, type Outside, repository } from './lab-client.ts'
import { requireSandbox } from './machine-snapshot.ts'

setDefaultTimeout(60_000)
const settings = labSettings({ name: 'events', hosts: 1 })
const waitSeconds = 20

let outside: Outside
let ownId: string
let foreignId: string

beforeAll(async () => {
  requireSandbox()
  await bringLabUp(settings, silentProgress)
  outside = createOutside(settings)
  ownId = await create('projects', { name: 'own', user: 'john' })
  foreignId = await create('projects', { name: 'foreign', user: 'jane' })
})

afterAll(async () => {
  await takeLabDown(settings)
})

async function create(noun: string, body: unknown): Promise<string> {
  const answer = await outside.ask('POST', `/v1/${noun}`, { body })
  if (answer.status !== 201) throw new Error(`${noun}: ${JSON.stringify(answer.body)}`)
  return v.parse(v.object({ id: v.string() }), answer.body).id
}

const createNetwork = (name: string, projectId = ownId) => create('networks', { name, projectId })

async function listEvents(query = ''): Promise<readonly CloudEvent[]> {
  const { body } = await outside.ask('GET', `/v1/events?format=json&limit=1000${query}`)
  return v.parse(v.object({ items: v.array(cloudEventSchema) }), body).items
}

/** Every event of a stream until `isLast`, which is the last one. */
async function readStream(query: string, isLast: (event: CloudEvent) => boolean, onStarted = async () => {}) {
  const { SLUICE_TOKEN } = outside.environment()
  const response = await fetch(`${loopbackUrl}/v1/events${query}`, {
    headers: { authorization: `Bearer ${SLUICE_TOKEN}` },
    signal: AbortSignal.timeout(waitSeconds * 1000),
  })
  if (response.body === null) throw new Error(`the stream was answered ${response.status}`)
  const events: CloudEvent[] = []
  await onStarted()
  for await (const { id, data } of parseServerSentEvents(response.body)) {
    const event = v.parse(cloudEventSchema, JSON.parse(data))
    expect(event.id).toBe(id)
    events.push(event)
    if (isLast(event)) break
  }
  return events
}

const isAbout = (subject: string) => (event: CloudEvent) => event.subject === subject

describe('`sluice events`', () => {
  test('prints what is kept, one CloudEvent a line, each of a known type and with the data of its type', async () => {
    const { stdout } = await outside.sluice(['events'])
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => v.parse(cloudEventSchema, JSON.parse(line)))
    expect(events.map(({ type }) => type)).toContain('project.created')
    expect(events.map(({ type }) => type)).toContain('host.joined')
    for (const { type, data } of events) {
      expect(Object.keys(eventTypes)).toContain(type)
      v.parse(eventTypes[type as keyof typeof eventTypes], data)
    }
  })

  test('with --follow prints what happens, as it happens, and goes on through a restart of the controller', async () => {
    const argv = [process.execPath, `${repository}cli/main.ts`, 'events', '--follow', '--project', 'own']
    // It ends with the input of the shell around it.
    const untilEnd = ['sh', '-c', '"$@" & cat > /dev/null; kill $!', 'follow']
    const before = await createNetwork('before')
    const [first] = (await listEvents(`&projectId=${ownId}`)).filter(isAbout(before))
    const lines = startJsonLines([...untilEnd, ...argv, '--after', first?.id ?? ''], outside.environment())
    try {
      const next = await createNetwork('next')
      expect(v.parse(cloudEventSchema, await lines.receive(waitSeconds))).toMatchObject({
        type: 'network.created',
        subject: next,
        projectid: ownId,
        data: { name: 'next' },
      })
      await killController(openLab(settings))
      await bootController(openLab(settings))
      const last = await createNetwork('last')
      expect(v.parse(cloudEventSchema, await lines.receive(waitSeconds)).subject).toBe(last)
    } finally {
      await lines.stop()
    }
  })
})

describe('the stream', () => {
  test('replays after any event, in order, without a gap or a double, and goes on with what happens', async () => {
    for (let turn = 1; turn <= 5; turn++) await createNetwork(`replayed-${turn}`)
    const kept = await listEvents()
    for (const index of [0, Math.floor(kept.length / 2), kept.length - 2]) {
      let last = 'none yet'
      const seen = await readStream(
        `?after=${kept[index]?.id}`,
        ({ subject }) => subject === last,
        async () => {
          last = await createNetwork(`after-${index}`)
        },
      )
      const expected = await listEvents(`&after=${kept[index]?.id}`)
      expect(seen.map(({ id }) => id)).toEqual(expected.slice(0, seen.length).map(({ id }) => id))
      expect(seen.at(-1)?.subject).toBe(last)
      expect(new Set(seen.map(({ id }) => id)).size).toBe(seen.length)
    }
  })
})

describe("a program with a project's credentials", () => {
  test('is refused what it asks of another project, by the API', async () => {
    const { body } = await outside.ask('POST', '/v1/tokens', { body: { name: 'reader', projectId: ownId } })
    const { token } = v.parse(tokenCreatedSchema, body)
    const answer = await outside.ask('GET', `/v1/events?format=json&projectId=${foreignId}`, { token })
    expect(answer.status).toBe(422)
    const own = await outside.ask('GET', '/v1/events?format=json&limit=1000', { token })
    const { items } = v.parse(v.object({ items: v.array(cloudEventSchema) }), own.body)
    expect(new Set(items.map(({ projectid }) => projectid))).toEqual(new Set([ownId]))
  })

  test('is refused it by NATS too', async () => {
    const body = { name: 'nats', projectId: ownId, nats: true }
    const { natsCredentials } = v.parse(tokenCreatedSchema, (await outside.ask('POST', '/v1/tokens', { body })).body)
    if (natsCredentials === null) throw new Error('no NATS credentials were made')
    const reader = await connect({
      servers: natsCredentials.servers,
      tls: { ca: natsCredentials.caCertificate },
      inboxPrefix: natsCredentials.inboxPrefix,
      authenticator: credsAuthenticator(new TextEncoder().encode(natsCredentials.credentials)),
    })
    try {
      // Resolves with the refusal, or with what must not be seen.
      const seen = Promise.withResolvers<string>()
      reader.subscribe(`sluice.events.${foreignId}.>`, {
        callback: (error, message) => seen.resolve(error === null ? message.string() : error.message),
      })
      await reader.flush()
      await createNetwork('hidden', foreignId)
      expect(await seen.promise).toMatch(/permissions violation/i)
    } finally {
      await reader.close()
    }
  })
})

describe('examples/automation', () => {
  const address = (last: number) => `198.18.16.${last}`
  const machines: string[] = []
  let balancerId: string
  let program: Bun.Subprocess

  beforeAll(async () => {
    const networkId = await createNetwork('web')
    const poolId = await create('pools', { name: 'web', projectId: ownId, cidr: '198.18.16.0/24' })
    await create('shards', { poolId, networkId, cidr: '198.18.16.0/24' })
    for (const last of [11, 12, 14]) {
      const workloads = [{ kind: 'web', port: 80 }]
      const name = `web-${last}`
      machines.push(
        await create('machines?wait=true', { name, projectId: ownId, networkId, address: address(last), workloads }),
      )
    }
    balancerId = await create('load-balancers?wait=true', {
      name: 'web',
      projectId: ownId,
      networkId,
      trafficType: 'http',
      listeners: [{ port: 80 }],
      members: [{ address: address(11) }, { address: address(12) }],
      healthCheck: { protocol: 'http', path: '/healthz', intervalSeconds: 1, timeoutSeconds: 1 },
    })
    const folder = settings.diskFolder
    const made = await outside.sluice(['token', 'create', 'standby', '--project', 'own', '--nats', '--json'])
    if (made.exitCode !== 0) throw new Error(made.stderr)
    await Bun.write(`${folder}/token.json`, made.stdout)
    const argv = [process.execPath, 'examples/automation/keep-standbys.ts', `${folder}/token.json`, 'web', address(14)]
    program = Bun.spawn(argv, { cwd: repository, env: outside.environment(), stdout: 'ignore' })
  })

  afterAll(async () => {
    program?.kill('SIGTERM')
    await program?.exited
  })

  const tell = async (order: string) => {
    const [machine = 'no machine'] = machines
    const command = ['curl', '--silent', '--fail', `http://127.0.0.1/control?${order}`]
    expect((await outside.on('host-1', 'ip', 'netns', 'exec', machine, ...command)).exitCode).toBe(0)
  }

  /** By the last number of their addresses, and how they are. */
  async function awaitMembers(wanted: Readonly<Record<string, string>>): Promise<void> {
    let members: Record<string, string> = {}
    const look = async () => {
      const { body } = await outside.ask('GET', `/v1/load-balancers/${balancerId}`)
      const seen = v.parse(loadBalancerSchema, body).members
      members = Object.fromEntries(seen.map(({ address, status }) => [address?.split('.').at(-1) ?? '', status]))
      return Bun.deepEquals(members, wanted)
    }
    await waitUntil(look, { what: () => `members, which are ${JSON.stringify(members)}`, timeoutSeconds: waitSeconds })
  }

  test('has a standby stand in while a member fails, and gives it up when that is back', async () => {
    await awaitMembers({ 11: 'healthy', 12: 'healthy' })
    await tell('fail=503')
    await awaitMembers({ 11: 'unhealthy', 12: 'healthy', 14: 'healthy' })
    await tell('fail=none')
    await awaitMembers({ 11: 'healthy', 12: 'healthy' })
  })

  test('ends by SIGTERM, cleanly', async () => {
    program.kill('SIGTERM')
    expect(await program.exited).toBe(0)
  })
})
