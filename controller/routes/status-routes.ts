/** How the controller is, and who asks: for people, load balancers' health checks, and `sluice status`. */

import * as v from 'valibot'
import type { LoadBalancer } from '../contract/load-balancer.ts'
import type { Host } from '../contract/machine.ts'
import { type Outcome, refuse, succeed } from '../contract/problem.ts'
import { callerSchema, type Status, statusSchema } from '../contract/status.ts'
import { listLimitMaximum } from '../control-plane/store.ts'
import { summarizeNames } from '../names/view-names.ts'
import type { ControllerContext, RequestInfo, Service, Services } from '../services.ts'
import { commonProblems } from './parameters.ts'
import { defineRoute, type Route } from './route.ts'

export interface ControllerAddress {
  /** Where callers reach it: `http://127.0.0.1:7480`. */
  readonly url: string
  readonly version: string
}

/** No more pages of one noun are put into a status. */
const pagesMaximum = 20
const healthSchema = v.object({ status: v.literal('ok') })

export function createStatusRoutes(
  context: Pick<ControllerContext, 'store' | 'settings'>,
  services: Services,
  address: ControllerAddress,
): readonly Route[] {
  const common = { method: 'GET', tag: 'controller', problems: ['internal'] } as const
  return [
    defineRoute(
      {
        ...common,
        path: '/v1/status',
        operationId: 'showStatus',
        summary: 'Show how everything is',
        description: "A project's token is shown its own load balancers, and no hosts.",
        access: 'bearer',
        answers: [
          { status: 200, description: 'The controller, its store, hosts and load balancers', schema: statusSchema },
        ],
        problems: commonProblems,
      },
      async ({ request }) => {
        const status = await readStatus(context, services, address, request)
        return status.ok ? succeed({ status: 200, body: status.value }) : status
      },
    ),
    defineRoute(
      {
        ...common,
        path: '/v1/me',
        operationId: 'showCaller',
        summary: 'Show whose token this is',
        access: 'bearer',
        answers: [{ status: 200, description: 'The token, and what it may see', schema: callerSchema }],
        problems: commonProblems,
      },
      async ({ request }) => succeed({ status: 200, body: { ...request.caller, controllerVersion: address.version } }),
    ),
    defineRoute(
      {
        ...common,
        path: '/healthz',
        operationId: 'checkHealth',
        summary: 'Whether the process is alive',
        access: 'open',
        answers: [{ status: 200, description: 'It is', schema: healthSchema }],
      },
      async () => succeed({ status: 200, body: { status: 'ok' } }),
    ),
    defineRoute(
      {
        ...common,
        path: '/readyz',
        operationId: 'checkReadiness',
        summary: 'Whether it can do what it is asked',
        access: 'open',
        answers: [{ status: 200, description: 'The store can be read and written', schema: healthSchema }],
        problems: ['unavailable', 'internal'],
      },
      async () => {
        const { status } = await context.store.status()
        return status === 'available' ? succeed({ status: 200, body: { status: 'ok' } }) : refuseNotReady()
      },
    ),
  ]
}

const refuseNotReady = () =>
  refuse({
    code: 'unavailable',
    title: 'The controller is not ready',
    detail: 'The store is not available.',
    remedy: 'Wait: it comes back by itself when nats-server runs again. Its log says why it does not.',
    retryAfterSeconds: 1,
  })

async function readStatus(
  context: Pick<ControllerContext, 'store' | 'settings'>,
  services: Services,
  address: ControllerAddress,
  request: RequestInfo,
): Promise<Outcome<Status>> {
  const balancers = await listAll(services.loadBalancers, request)
  if (!balancers.ok) return balancers
  const hosts = request.caller.scope === 'admin' ? await listAll(services.hosts, request) : succeed<readonly Host[]>([])
  if (!hosts.ok) return hosts
  const store = await context.store.status()
  return succeed({
    controller: { url: address.url, version: address.version },
    store: { ...store, microshards: [...store.microshards] },
    hosts: hosts.value.map(({ name, status }) => ({ name, status })),
    names: summarizeNames(context, request.caller.projectId ?? undefined),
    loadBalancers: balancers.value.map(describeBalancer),
  })
}

function describeBalancer(balancer: LoadBalancer): Status['loadBalancers'][number] {
  const { id, name, projectId, url, status, vips } = balancer
  return {
    id,
    name,
    projectId,
    url,
    status,
    vips,
    instances: balancer.instances.map(({ id, host, driver, status }) => ({ id, host, driver, status })),
    members: balancer.members.map(({ address, port, status }) => ({ address, port, status })),
  }
}

/** All pages of what a caller may see. */
export async function listAll<View, Create, Update, Created>(
  service: Pick<Service<View, Create, Update, Created>, 'list'>,
  request: RequestInfo,
  query: { readonly projectId?: string; readonly name?: string } = {},
): Promise<Outcome<readonly View[]>> {
  const items: View[] = []
  let after: string | undefined
  for (let pages = 0; pages < pagesMaximum; pages++) {
    const page = await service.list(
      { ...query, limit: listLimitMaximum, ...(after === undefined ? {} : { after }) },
      request,
    )
    if (!page.ok) return page
    items.push(...page.value.items)
    if (page.value.next === null) break
    after = page.value.next
  }
  return succeed(items)
}
