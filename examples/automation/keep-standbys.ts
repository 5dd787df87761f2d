/**
 * Has standbys stand in for the members of a load balancer that are unhealthy, and gives them up when these are back.
 * A program of a user, that knows of Sluice what anybody does: it pulls its own project's events from NATS by the
 * credentials of a project's token, and acts by the API with that same token. What happened while it was not running
 * waits for it.
 *
 * @example
 * bun sluice token create standby --project quickstart --nats --json > token.json
 * SLUICE_ADDR=http://127.0.0.1:7480 bun examples/automation/keep-standbys.ts token.json web 198.18.16.14
 */

import { readFileSync } from 'node:fs'
import { type ConsumerMessages, type JsMsg, jetstream } from '@nats-io/jetstream'
import { connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node'
import * as v from 'valibot'
import { pageSchema } from '../../controller/contract/common.ts'
import { cloudEventSchema } from '../../controller/contract/events.ts'
import { type LoadBalancer, loadBalancerSchema } from '../../controller/contract/load-balancer.ts'
import { type TokenCreated, tokenCreatedSchema } from '../../controller/contract/project.ts'
import { planStandbys, type StandbyOperation } from './plan-standbys.ts'

/** Of these the health of a member may have changed, or who its members are. */
const eventTypes = ['load-balancer.member.changed', 'load-balancer.updated', 'load-balancer.created']
const requestMilliseconds = 10_000
const retryMilliseconds = 1_000

const [tokenFile, balancerName, ...standbys] = process.argv.slice(2)
const address = process.env.SLUICE_ADDR
if (tokenFile === undefined || balancerName === undefined || standbys.length === 0 || address === undefined) {
  console.error('usage: SLUICE_ADDR=… keep-standbys.ts TOKEN.json LOAD-BALANCER STANDBY-ADDRESS…')
  process.exit(2)
}
await run(v.parse(tokenCreatedSchema, JSON.parse(readFileSync(tokenFile, 'utf8'))), address, balancerName)

async function run(token: TokenCreated, controller: string, name: string): Promise<void> {
  const { natsCredentials } = token
  if (natsCredentials === null) throw new Error('the token has no NATS credentials: create it with --nats')
  const call = createCall(controller, token.token)
  const connection = await connectToBus(natsCredentials)
  const { domain, stream, consumer } = natsCredentials
  const events = await (await jetstream(connection, { domain }).consumers.get(stream, consumer)).consume()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => events.stop())
  say('following', { loadBalancer: name, standbys })
  // What is wrong already may have had its event before this token was made.
  await keepStandbys(call, name, `start-${Date.now()}`)
  await follow(events, (cause) => keepStandbys(call, name, cause))
  await connection.drain()
}

/** Handles one event after the other. One that can't be handled now comes again. */
async function follow(events: ConsumerMessages, handle: (eventId: string) => Promise<void>): Promise<void> {
  for await (const message of events) {
    const event = parseEvent(message)
    try {
      if (event !== null && eventTypes.includes(event.type)) await handle(event.id)
      message.ack()
    } catch (error) {
      say('failed', { reason: error instanceof Error ? error.message : String(error) })
      message.nak(retryMilliseconds)
    }
  }
}

function parseEvent(message: JsMsg): v.InferOutput<typeof cloudEventSchema> | null {
  const parsed = v.safeParse(cloudEventSchema, message.json())
  return parsed.success ? parsed.output : null
}

/** Looks at the load balancer as it is now, whatever the event said: one that comes twice or late does no harm. */
async function keepStandbys(call: Call, name: string, cause: string): Promise<void> {
  const page = await call('GET', `/v1/load-balancers?name=${encodeURIComponent(name)}`)
  const [balancer] = v.parse(pageSchema(loadBalancerSchema), page).items
  if (balancer === undefined || balancer.status === 'deleting') return
  for (const operation of planStandbys(balancer.members, standbys)) {
    await apply(call, balancer, operation, cause)
    say(operation.kind, { address: operation.address, cause })
  }
}

async function apply(call: Call, { id }: LoadBalancer, operation: StandbyOperation, cause: string): Promise<void> {
  const members = `/v1/load-balancers/${id}/members`
  switch (operation.kind) {
    case 'addMember':
      // The same event may come again after its answer was lost: the key has it done once.
      await call('POST', members, { address: operation.address }, `${cause} ${operation.address}`.replaceAll(' ', '-'))
      return
    case 'removeMember':
      await call('DELETE', `${members}/${operation.id}`)
      return
    default:
      operation satisfies never
  }
}

type Call = (method: string, path: string, body?: unknown, idempotencyKey?: string) => Promise<unknown>

function createCall(controller: string, bearer: string): Call {
  return async (method, path, body, idempotencyKey) => {
    const response = await fetch(`${controller}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${bearer}`,
        ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
      },
      signal: AbortSignal.timeout(requestMilliseconds),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    // Gone already is as good as removed.
    const isFine = response.ok || (method === 'DELETE' && response.status === 404)
    if (!isFine) throw new Error(`${method} ${path} was answered ${response.status}: ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }
}

function connectToBus(credentials: NonNullable<TokenCreated['natsCredentials']>): Promise<NatsConnection> {
  return connect({
    servers: credentials.servers,
    tls: { ca: credentials.caCertificate },
    authenticator: credsAuthenticator(new TextEncoder().encode(credentials.credentials)),
    inboxPrefix: credentials.inboxPrefix,
    maxReconnectAttempts: -1,
    waitOnFirstConnect: true,
  })
}

/** One line of JSON for each thing that is done. */
function say(what: string, more: Readonly<Record<string, unknown>>): void {
  console.log(JSON.stringify({ at: new Date().toISOString(), what, ...more }))
}
