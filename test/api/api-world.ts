/**
 * The whole API over the store in memory, for tests: the true services and the true reconciler, over hosts that do at
 * once what they are told, when a test lets them.
 */

import * as v from 'valibot'
import type { ValueList } from '../../agent/contract/collectd/packet-parts.ts'
import type { InstanceInstructions } from '../../agent/contract/host-instructions.ts'
import { createProjectsService } from '../../controller/access/projects.ts'
import { createTestContext, type TestContext } from '../../controller/access/test-context.ts'
import {
  admitAdminBearer,
  createBearer,
  createTokensService,
  type EventCredentialsIssuer,
} from '../../controller/access/tokens.ts'
import { type Api, createApi } from '../../controller/app.ts'
import { assembleController } from '../../controller/assemble.ts'
import { type CloudEvent, eventTypes } from '../../controller/contract/events.ts'
import { createTestMicroshards } from '../../controller/control-plane/lifecycle/test-microshards.ts'
import type { MemoryStoreOptions } from '../../controller/control-plane/memory-store.ts'
import { createNamedId } from '../../controller/control-plane/shard-key.ts'
import { write } from '../../controller/control-plane/store.ts'
import { createHostsService, type HostBus } from '../../controller/hosts/hosts.ts'
import { createStates, type States } from '../../controller/hypervisor/state/states.ts'
import { hostKind, hostStatusKind, systemClient } from '../../controller/objects.ts'
import type { CollectdRequests } from '../../controller/observed/collectd/collectd-entry.ts'
import type { LogReader } from '../../controller/observed/logs/read-logs.ts'
import { createKeptLogs } from '../../controller/observed/logs/test-logs.ts'
import { createTestMetrics, type TestMetrics } from '../../controller/observed/metrics/test-metrics.ts'
import { createObservedHosts, type ReportInbox } from '../../controller/observed/observed-hosts.ts'
import { createTestLifecycle } from '../../controller/prediction/policies/test-lifecycle.ts'
import { createTestPrefetch, type TestPrefetch } from '../../controller/prediction/prefetch/test-prefetch.ts'
import { createTestControlPlane } from '../../controller/presence/test-control-plane.ts'
import type { InstructionsBus, PublishedInstructions } from '../../controller/reconcile/instructions-bus.ts'
import type { EventReader } from '../../controller/routes/event-routes.ts'
import type { Services } from '../../controller/services.ts'

import packageJson from '../../package.json' with { type: 'json' }
import { type Chance, createChance } from '../simulation/random.ts'
import { createSimulatedHost, type SimulatedHost } from '../simulation/simulated-host.ts'

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly body: Json
}
/** An answer as tests read it: `String(body.id)`, `expect(body).toMatchObject(…)`. */
export interface Json {
  readonly [field: string]: Json
}

export interface TestWorld {
  readonly context: TestContext
  readonly services: Services
  readonly admin: string
  readonly app: Api['app']
  readonly events: readonly CloudEvent[]
  readonly metrics: TestMetrics
  readonly collectd: CollectdRequests
  readonly states: States
  readonly prefetch: TestPrefetch
  /** What came by write_http; all of it is taken. */
  readonly takenLists: readonly { readonly projectId: string; readonly lists: readonly ValueList[] }[]
  /** As an admin, unless `token` says otherwise. */
  call(method: string, path: string, body?: unknown, options?: CallOptions): Promise<Reply>
  /** The creation's answer; throws what it is refused with. */
  create(path: string, body: unknown, options?: CallOptions): Promise<Json>
  /** Lets the controller reconcile and the hosts work and report, until nothing is left to do. */
  settle(): Promise<void>
  /** The subject of the first event of a type, which may be still to come. */
  nextSubject(type: string): Promise<string>
  sweep(): Promise<void>
}

export interface CallOptions {
  readonly token?: string | null
  readonly headers?: Readonly<Record<string, string>>
  /** The body as it is, in place of JSON. */
  readonly text?: string
}

export async function createTestWorld(
  options: Omit<MemoryStoreOptions, 'now' | 'random' | 'onEvent'> & {
    readonly issuer?: EventCredentialsIssuer
    /** What instances have said; nothing when left out. */
    readonly logs?: LogReader
    /** Left out: nobody waits, and nobody gives up waiting. */
    readonly sleep?: (milliseconds: number) => Promise<unknown>
  } = {},
): Promise<TestWorld> {
  const { issuer = createTestIssuer(), logs = createKeptLogs(), sleep, ...storeOptions } = options
  const recorder = createEventRecorder()
  const base = createTestContext({ ...storeOptions, onEvent: recorder.record })
  const inbox = createObservedHosts({ now: base.now })
  const context: TestContext = { ...base, observed: inbox, ...(sleep === undefined ? {} : { sleep }) }
  const rack = createRack(inbox, base)
  const { services: assembled, reconciler, sweep: sweepRooms } = assembleController(context, rack.bus)
  const tokens = createTokensService(context, issuer)
  const projects = createProjectsService(context, tokens.remove)
  const services: Services = { ...assembled, projects, tokens, hosts: createHostsService(context, idleHostBus) }
  const admin = createBearer(context)
  await admitAdminBearer(context, admin)
  for (const { name } of rack.hosts) await addHost(context, name)
  const settings = { url: 'http://127.0.0.1:7480', version: packageJson.version }
  const metrics = await createTestMetrics(context)
  const takenLists: { readonly projectId: string; readonly lists: readonly ValueList[] }[] = []
  const collectd: CollectdRequests = {
    take(projectId, lists) {
      takenLists.push({ projectId, lists })
      return lists.length
    },
  }
  const microshards = createTestMicroshards()
  const controlPlane = createTestControlPlane()
  const states = createStates(context, { current: 1, keys: new Map([[1, new Uint8Array(32)]]) })
  const prefetch = createTestPrefetch(context)
  const lifecycle = createTestLifecycle(context.store)
  const kept = { logs, metrics: metrics.service, collectd, states, prefetch, lifecycle }
  const rest = { events: recorder.reader, microshards, controlPlane, ...kept }
  const api = createApi({ services, context, ...rest, settings })
  const { app } = api

  const call: TestWorld['call'] = async (method, path, body, { token = admin, headers = {}, text } = {}) => {
    const sent = text ?? (body === undefined ? undefined : JSON.stringify(body))
    const response = await app.request(path, {
      method,
      headers: { ...(token === null ? {} : { authorization: `Bearer ${token}` }), ...headers },
      ...(sent === undefined ? {} : { body: sent }),
    })
    const answered = await response.text()
    return { status: response.status, headers: response.headers, body: parseOrText(answered) as Json }
  }
  return {
    context,
    services,
    admin,
    app,
    events: recorder.events,
    metrics,
    collectd,
    states,
    prefetch,
    takenLists,
    call,
    async create(path, body, callOptions) {
      const reply = await call('POST', path, body, callOptions)
      if (reply.status !== 201) throw new Error(`POST ${path}: ${reply.status} ${JSON.stringify(reply.body)}`)
      return reply.body
    },
    async settle() {
      for (let turns = 0; turns < turnsMaximum; turns++) {
        const { operations, failures } = await reconciler.turn()
        if (failures.length > 0) throw new Error(JSON.stringify(failures))
        const isNews = rack.work()
        if (operations === 0 && !isNews) return
      }
      throw new Error(`not settled after ${turnsMaximum} turns`)
    },
    nextSubject: recorder.nextSubject,
    async sweep() {
      await sweepRooms()
      await api.sweep()
    },
  }
}

const turnsMaximum = 30

/** Hosts that do what they are told, all at once, and say so. */
function createRack(inbox: ReportInbox, context: TestContext) {
  const hosts = ['host-1', 'host-2'].map(createSimulatedHost)
  const published = new Map<string, PublishedInstructions>()
  let revision = 0
  const bus: InstructionsBus = {
    listHosts: async () => [...published.keys()],
    read: async (host) => published.get(host) ?? null,
    write: async (statement) => {
      published.set(statement.host, { statement, revision: ++revision })
      return revision
    },
  }
  const willing: Chance = { ...createChance(1), happens: () => true }
  let told = ''
  const report = (host: SimulatedHost) => {
    host.hear(published.get(host.name)?.statement ?? null)
    host.work(willing)
    const homes = ({ vips }: InstanceInstructions) => vips.filter(({ home }) => home).map(({ address }) => address)
    const said = JSON.stringify(host.report(homes, context.now(), () => ({ answers: true })))
    const fault = inbox.accept(host.name, said)
    if (fault !== null) throw new Error(`a report was refused: ${fault}`)
    return said.replace(/"sequence":\d+/, '')
  }
  return {
    hosts,
    bus,
    /** Whether any of them says something new. */
    work() {
      const saying = hosts.map(report).join()
      const isNews = saying !== told
      told = saying
      return isNews
    },
  }
}

/** Nobody joins here. */
const idleHostBus: HostBus = {
  issueAgentJwt: async () => 'a token',
  revokeUser: async () => undefined,
  natsServers: ['tls://127.0.0.1:4222'],
  caCertificate: 'a certificate',
  caFingerprint: '0'.repeat(64),
}

function parseOrText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

async function addHost(context: TestContext, name: string): Promise<void> {
  const id = createNamedId(hostKind.prefix, systemClient, name)
  const at = new Date(context.now()).toISOString()
  const underlayAddress = `198.18.64.${name.slice(-1)}`
  const value = { name, maintenance: false, labels: {}, underlayAddress, publicKey: null, joinedAt: at }
  await context.store.transact({
    writes: [
      write({ kind: hostKind, id, expect: 'absent', value }),
      write({ kind: hostStatusKind, id, expect: 'absent', value: { status: 'active', since: at } }),
    ],
  })
}

function createTestIssuer(): EventCredentialsIssuer {
  let issued = 0
  return {
    issue: async ({ projectId }) => ({
      publicKey: `U${++issued}`,
      credentials: 'a credentials file',
      servers: ['tls://127.0.0.1:4222'],
      caCertificate: 'a certificate',
      stream: 'EVENTS',
      consumer: `U${issued}`,
      subject: `sluice.events.${projectId}.>`,
      inboxPrefix: `_INBOX.U${issued}`,
      domain: 'sluice',
    }),
    revoke: async () => undefined,
  }
}

/** Programs are told of every type, and of all that is in its data. */
function expectDescribed({ type, data }: CloudEvent): void {
  const schema = Object.entries(eventTypes).find(([name]) => name === type)?.[1]
  if (schema === undefined) throw new Error(`BUG: the event ${type} is not in contract/events.ts`)
  const parsed = v.safeParse(v.strictObject(schema.entries), data)
  if (!parsed.success)
    throw new Error(`BUG: the event ${type} is not as contract/events.ts says: ${JSON.stringify(data)}`)
}

/** What the bus does with events, in memory. */
function createEventRecorder() {
  const events: CloudEvent[] = []
  let wake = Promise.withResolvers<void>()
  const record = (event: CloudEvent) => {
    expectDescribed(event)
    events.push(event)
    wake.resolve()
    wake = Promise.withResolvers()
  }
  async function* readFrom(start: number, signal?: AbortSignal): AsyncGenerator<CloudEvent, void> {
    const aborted = new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve()))
    for (let at = start; signal?.aborted !== true; ) {
      const event = events[at]
      if (event === undefined) await Promise.race([wake.promise, aborted])
      else {
        at++
        yield event
      }
    }
  }
  const placeAfter = (id: string) => events.findIndex((event) => event.id === id) + 1
  const isOf = (projectId: string | undefined) => (event: CloudEvent) =>
    projectId === undefined || event.projectid === projectId
  const reader: EventReader = {
    async *read({ projectId, afterId, signal, onStarted }) {
      const start = afterId === undefined ? events.length : placeAfter(afterId)
      onStarted?.()
      for await (const event of readFrom(start, signal)) if (isOf(projectId)(event)) yield event
    },
    async list({ projectId, afterId, limit, isWanted }) {
      const from = afterId === undefined ? 0 : placeAfter(afterId)
      const wanted = events.slice(from).filter(isOf(projectId)).filter(isWanted)
      if (afterId === undefined) return { items: wanted.slice(-limit), next: null }
      return { items: wanted.slice(0, limit), next: wanted.length > limit ? (wanted[limit - 1]?.id ?? null) : null }
    },
  }
  async function nextSubject(type: string): Promise<string> {
    for await (const event of readFrom(0)) if (event.type === type) return event.subject
    throw new Error('BUG: the events ended')
  }
  return { events, record, reader, nextSubject }
}
