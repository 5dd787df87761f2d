/**
 * The whole API over the store in memory, for tests: the true services, two hosts that are there as objects only, and
 * nobody who reconciles unless a test says what hosts report.
 */

import { createProjectsService } from '../access/projects.ts'
import { createTestContext, type TestContext } from '../access/test-context.ts'
import { admitAdminBearer, createBearer, createTokensService, type EventCredentialsIssuer } from '../access/tokens.ts'
import { createApp } from '../app.ts'
import { assembleController } from '../assemble.ts'
import type { CloudEvent } from '../contract/events.ts'
import type { MemoryStoreOptions } from '../control-plane/memory-store.ts'
import { createNamedId } from '../control-plane/shard-key.ts'
import { type Kind, write } from '../control-plane/store.ts'
import {
  hostKind,
  hostStatusKind,
  loadBalancerKind,
  loadBalancerStatusKind,
  machineKind,
  machineStatusKind,
  systemClient,
} from '../objects.ts'
import type { InstructionsBus } from '../reconcile/instructions-bus.ts'
import type { Services } from '../services.ts'
import type { EventReader } from './event-routes.ts'

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
  readonly app: ReturnType<typeof createApp>
  readonly events: readonly CloudEvent[]
  /** As an admin, unless `token` says otherwise. */
  call(method: string, path: string, body?: unknown, options?: CallOptions): Promise<Reply>
  /** The creation's answer; throws what it is refused with. */
  create(path: string, body: unknown, options?: CallOptions): Promise<Json>
  /** Says what hosts would have reported: a balancer or a machine is as it should be. */
  reportActive(id: string): Promise<void>
  sweep(): Promise<void>
}

export interface CallOptions {
  readonly token?: string | null
  readonly headers?: Readonly<Record<string, string>>
  /** The body as it is, in place of JSON. */
  readonly text?: string
}

export async function createTestWorld(
  options: Omit<MemoryStoreOptions, 'now' | 'random' | 'onEvent'> & { readonly issuer?: EventCredentialsIssuer } = {},
): Promise<TestWorld> {
  const { issuer = createTestIssuer(), ...storeOptions } = options
  const recorder = createEventRecorder()
  const context = createTestContext({ ...storeOptions, onEvent: recorder.record })
  const assembled = assembleController(context, createIdleBus())
  const tokens = createTokensService(context, issuer)
  const services: Services = {
    ...assembled.services,
    projects: createProjectsService(context, tokens.remove),
    tokens,
    hosts: createIdleHosts(),
  }
  const admin = createBearer(context)
  await admitAdminBearer(context, admin)
  for (const name of ['host-1', 'host-2']) await addHost(context, name)
  const settings = { url: 'http://127.0.0.1:7480', version: '0.0.0' }
  const app = createApp({ services, context, events: recorder.reader, settings })

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
    call,
    async create(path, body, callOptions) {
      const reply = await call('POST', path, body, callOptions)
      if (reply.status !== 201) throw new Error(`POST ${path}: ${reply.status} ${JSON.stringify(reply.body)}`)
      return reply.body
    },
    reportActive: (id) => reportActive(context, id),
    sweep: assembled.sweep,
  }
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

async function reportActive(context: TestContext, id: string): Promise<void> {
  const isBalancer = id.startsWith('lb_')
  const kind: Kind<object> = isBalancer ? loadBalancerKind : machineKind
  const statusKind = isBalancer ? loadBalancerStatusKind : machineStatusKind
  const object = await context.store.get(kind, id)
  const status = await context.store.get<object>(statusKind, id)
  const value = { status: 'active', conditions: [], observedGeneration: object?.version ?? 0 }
  await context.store.transact({
    writes: [{ kind: statusKind, id, expect: status?.version ?? 'absent', value }],
  })
}

const createIdleBus = (): InstructionsBus => ({
  listHosts: async () => [],
  read: async () => null,
  write: async () => 1,
})

/** Hosts are another room's: here they only have to be listed. */
function createIdleHosts(): Services['hosts'] {
  const fail = async () => {
    throw new Error('BUG: these tests have no hosts service')
  }
  return {
    create: fail,
    show: fail,
    update: fail,
    remove: fail,
    join: fail,
    list: async () => ({ ok: true, value: { items: [], next: null } }),
  }
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

/** What the bus does with events, in memory. */
function createEventRecorder() {
  const events: CloudEvent[] = []
  let wake = Promise.withResolvers<void>()
  const record = (event: CloudEvent) => {
    events.push(event)
    wake.resolve()
    wake = Promise.withResolvers()
  }
  const isOf = (projectId: string | undefined) => (event: CloudEvent) =>
    projectId === undefined || event.projectid === projectId
  const reader: EventReader = {
    async *read({ projectId, afterId, signal, onStarted }) {
      let at = afterId === undefined ? events.length : events.findIndex(({ id }) => id === afterId) + 1
      const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      onStarted?.()
      while (!signal.aborted) {
        const event = events[at]
        if (event === undefined) await Promise.race([wake.promise, aborted])
        else {
          at++
          if (isOf(projectId)(event)) yield event
        }
      }
    },
    async list({ projectId, afterId, limit, isWanted }) {
      const from = afterId === undefined ? 0 : events.findIndex(({ id }) => id === afterId) + 1
      const wanted = events.slice(from).filter(isOf(projectId)).filter(isWanted)
      return afterId === undefined
        ? { items: wanted.slice(-limit), next: null }
        : { items: wanted.slice(0, limit), next: wanted.length > limit ? (wanted[limit - 1]?.id ?? null) : null }
    },
  }
  return { events, record, reader }
}
