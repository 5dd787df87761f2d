/**
 * Declares a project with an HTTP load balancer by the JSON interface, and three web machines for it by REST; what is
 * there already is left as it is. Waits until all members are healthy.
 *
 * @example
 * eval "$(bun sluice lab env | sed 's/^/export /')"; bun examples/quickstart/declare.ts
 */

import { readFileSync } from 'node:fs'

type Action = { readonly action: string; readonly type: string; readonly info: Readonly<Record<string, unknown>> }
type ActionAnswer = Action & { readonly status: 'successful' | 'fail' }
type Member = { readonly address: string | null; readonly status: string }
type Balancer = {
  readonly id: string
  readonly projectId: string
  readonly networkId: string
  readonly status: string
  readonly url: string | null
  readonly vips: readonly string[]
  readonly members: readonly Member[]
}

const address = process.env.SLUICE_ADDR ?? ''
const token = process.env.SLUICE_TOKEN ?? ''
const healthySeconds = 60
const pollMilliseconds = 100

const project = await step('project', () => createOrFind(readExample('project.json')))
const instance = await step('load balancer', () => createOrFind(readExample('load-balancer.json')))
const balancer = await showBalancer(String(instance.id))
await step('three web machines', () => createMachines(String(project.id), balancer.networkId))
const { url, vips, members } = await step('all members healthy', () => waitUntilHealthy(balancer.id))
console.log(`  ${members.length} members behind ${url}/, on ${vips.join(' and ')}`)

/** The object's info as the JSON interface tells it. */
async function createOrFind(action: Action): Promise<Action['info']> {
  const created = await act(action)
  if (created.status === 'successful') return created.info
  const found = await act({ ...action, action: 'info' })
  if (found.status === 'successful') return found.info
  throw new Error(`${action.type} could not be made: ${String(created.info.error)}`)
}

async function act(action: Action): Promise<ActionAnswer> {
  return (await call('POST', '/v1/actions', action)) as ActionAnswer
}

async function createMachines(projectId: string, networkId: string): Promise<void> {
  const machines = JSON.parse(readText('machines.json')) as readonly { readonly name: string }[]
  const page = (await call('GET', `/v1/machines?projectId=${projectId}`)) as { items: { name: string }[] }
  const present = new Set(page.items.map(({ name }) => name))
  const missing = machines.filter(({ name }) => !present.has(name))
  await Promise.all(
    missing.map((machine) => call('POST', '/v1/machines?wait=true', { projectId, networkId, ...machine })),
  )
}

async function waitUntilHealthy(id: string): Promise<Balancer> {
  const deadline = Date.now() + healthySeconds * 1000
  for (;;) {
    const balancer = await showBalancer(id)
    if (balancer.status === 'active' && balancer.members.every(({ status }) => status === 'healthy')) return balancer
    if (Date.now() > deadline) {
      const members = balancer.members.map(({ address, status }) => `${address} ${status}`).join(', ')
      throw new Error(`after ${healthySeconds} s the load balancer is ${balancer.status} and its members ${members}`)
    }
    await Bun.sleep(pollMilliseconds)
  }
}

async function showBalancer(id: string): Promise<Balancer> {
  return (await call('GET', `/v1/load-balancers/${id}`)) as Balancer
}

async function call(method: string, path: string, body?: unknown): Promise<unknown> {
  const response = await fetch(`${address}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  // The JSON interface says itself whether it worked; REST says it by the status.
  if (!response.ok && path !== '/v1/actions')
    throw new Error(`${method} ${path} was answered ${response.status}: ${text}`)
  return JSON.parse(text)
}

async function step<Result>(title: string, work: () => Promise<Result>): Promise<Result> {
  const begun = performance.now()
  const result = await work()
  console.log(`  ${title.padEnd(40)} ${`${Math.round(performance.now() - begun)} ms`.padStart(8)}`)
  return result
}

function readExample(name: string): Action {
  return JSON.parse(readText(name)) as Action
}

function readText(name: string): string {
  return readFileSync(new URL(name, import.meta.url), 'utf8')
}
