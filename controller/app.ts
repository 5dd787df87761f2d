/**
 * The controller's API as a Hono app. Silent: it opens no port and connects to nothing; `main.ts` gives it services and
 * serves it. What it mounts and what `/v1/openapi.json` says are the same table of routes.
 */

import { Hono } from 'hono'
import { describeApi, type RouteDescription } from './contract/openapi.ts'
import { type Outcome, refuse, succeed } from './contract/problem.ts'
import type { MicroshardsService } from './control-plane/lifecycle/microshards.ts'
import type { OwnerRouting } from './control-plane/writes/owner-routing.ts'
import { createHypervisorsService } from './hypervisor/hypervisors.ts'
import type { States } from './hypervisor/state/states.ts'
import type { CollectdRequests } from './observed/collectd/collectd-entry.ts'
import type { LogReader } from './observed/logs/read-logs.ts'
import type { MetricsService } from './observed/metrics/metrics-service.ts'
import type { LifecycleService } from './prediction/policies/open-lifecycle-manager.ts'
import type { Prefetch } from './prediction/prefetch/open-prefetch.ts'
import type { ControlPlaneService } from './presence/control-plane-service.ts'
import { createActionRoutes } from './routes/actions/action-routes.ts'
import { createAddressRoutes } from './routes/address-routes.ts'
import { describeProblem } from './routes/answer.ts'
import { createBreakerRoutes } from './routes/breaker-routes.ts'
import { createCollectdRoutes } from './routes/collectd-routes.ts'
import { createControlPlaneRoutes } from './routes/control-plane-routes.ts'
import { createEscalationRoutes } from './routes/escalation-routes.ts'
import { createEventRoutes, type EventReader } from './routes/event-routes.ts'
import { createHypervisorRoutes } from './routes/hypervisor-routes.ts'
import { createKeyedLock } from './routes/keyed-lock.ts'
import { createLogRoutes } from './routes/log-routes.ts'
import { createMetricsRoutes } from './routes/metrics-routes.ts'
import { createMicroshardPolicyRoutes } from './routes/microshard-policy-routes.ts'
import { createMicroshardRoutes } from './routes/microshard-routes.ts'
import { createMigrationRoutes } from './routes/migration-routes.ts'
import { createNestedRoutes } from './routes/nested-routes.ts'
import { createAllNounRoutes } from './routes/nouns.ts'
import { readBody } from './routes/parse.ts'
import { createRoutePerformer, createRun, describeAsAction } from './routes/perform-route.ts'
import { createPredictionRoutes } from './routes/prediction-routes.ts'
import { type Answer, defineRoute, type Route } from './routes/route.ts'
import { type RoutingContext, serveRoute } from './routes/serve-route.ts'
import { createSpaceRoutes } from './routes/space-routes.ts'
import { createStackRoutes } from './routes/stack-routes.ts'
import { type ControllerAddress, createStatusRoutes } from './routes/status-routes.ts'
import { continueTrace } from './routes/trace.ts'
import type { ControllerContext, Services } from './services.ts'

export interface AppOptions {
  /** Left out: no other controller is asked to do anything. */
  readonly owners?: OwnerRouting<Answer>
  readonly services: Services
  readonly context: ControllerContext
  readonly events: EventReader
  readonly logs: LogReader
  readonly microshards: MicroshardsService
  readonly lifecycle: LifecycleService
  readonly controlPlane: ControlPlaneService
  readonly metrics: MetricsService
  readonly collectd: CollectdRequests
  readonly states: States
  readonly prefetch: Prefetch
  readonly settings: ControllerAddress
}

/** @example createApp({ services, context, events, microshards, lifecycle, controlPlane, metrics, collectd, states, settings: { url, version } }).request('/healthz') */
export const createApp = (options: AppOptions): Hono => createApi(options).app

export interface Api {
  readonly app: Hono
  /** Carries on changes that were answered 202 by a controller that died. */
  sweep(): Promise<void>
}

export function createApi(options: AppOptions): Api {
  const { context, services } = options
  const routes = createRoutes(options).map(options.prefetch.reads.wrap)
  const performer = createRoutePerformer(
    context,
    createRun(() => routes),
    options.owners,
  )
  const routing: RoutingContext = {
    context,
    tokens: services.tokens,
    performer,
    lock: createKeyedLock(),
    note: options.prefetch.note,
  }
  const app = new Hono()
  for (const route of routes) {
    app.on(route.method, toHonoPath(route.path), (c) => {
      const request = c.req.raw
      const url = new URL(request.url)
      return serveRoute(routing, route, { request, url, parameters: c.req.param(), readText: readOnce(request, route) })
    })
  }
  app.notFound((c) => refuseUnrouted(context, routes, c.req.raw))
  return { app, sweep: performer.sweep }
}

/** Every route there is, the one that describes all of them among them. */
export function createRoutes(options: AppOptions): readonly Route[] {
  const { context, services, events, logs, microshards, lifecycle, controlPlane, metrics, collectd, settings } = options
  const described: Route[] = []
  const routes = [
    ...createAllNounRoutes(context, services),
    ...createNestedRoutes(services),
    ...createMigrationRoutes(context, services, '/v1'),
    ...createMigrationRoutes(context, services, ''),
    ...createSpaceRoutes(context, services),
    ...createAddressRoutes(context, services),
    ...createBreakerRoutes(context),
    ...createEscalationRoutes({ ...context, run: createRun(() => described) }),
    ...createEventRoutes(events),
    ...createLogRoutes(context, services, logs),
    ...createMicroshardRoutes(microshards),
    ...createMicroshardPolicyRoutes(lifecycle),
    ...createControlPlaneRoutes(controlPlane),
    ...createMetricsRoutes(metrics),
    ...createCollectdRoutes(collectd),
    ...createStackRoutes(context, options.states),
    ...createHypervisorRoutes(createHypervisorsService(context)),
    ...createActionRoutes(context, services),
    ...createPredictionRoutes(options.prefetch.service),
    ...createStatusRoutes(context, services, settings),
  ]
  described.push(...routes.map(describeAsAction))
  described.push(createDescriptionRoute(described, settings))
  return described
}

function createDescriptionRoute(routes: readonly RouteDescription[], settings: ControllerAddress): Route {
  const description = {
    method: 'GET',
    path: '/v1/openapi.json',
    operationId: 'describeApi',
    tag: 'controller',
    summary: 'Describe this API',
    access: 'open',
    answers: [{ status: 200, description: 'An OpenAPI 3.1 document' }],
    problems: ['internal'],
  } as const
  let document: unknown
  return defineRoute(description, async () => {
    document ??= describeApi(routes, settings)
    return succeed({ status: 200, body: document })
  })
}

const toHonoPath = (path: string): string => path.replace(/\{(\w+)\}/g, ':$1')

function readOnce(request: Request, { bodyBytesMaximum }: Route): () => Promise<Outcome<string>> {
  let reading: Promise<Outcome<string>> | undefined
  return () => {
    reading ??= readBody(request, bodyBytesMaximum)
    return reading
  }
}

/** No such path: 404. A path that is there, by another method: 405 with those that it has. */
function refuseUnrouted(context: ControllerContext, routes: readonly Route[], request: Request): Response {
  const { pathname } = new URL(request.url)
  const trace = continueTrace(request.headers.get('traceparent'), context.random)
  const methods = new Set(routes.filter(({ path }) => matchesPath(path, pathname)).map(({ method }) => method))
  context.logger.info({ traceId: trace.traceId, method: request.method, path: pathname }, 'no such route')
  if (methods.size === 0) {
    const refusal = refuse({
      code: 'not-found',
      title: 'There is nothing here',
      detail: `No route of this API has the path ${pathname}.`,
      remedy: 'GET /v1/openapi.json lists all paths.',
    })
    return describeProblem(refusal.problem, trace)
  }
  const allow = [...methods, ...(methods.has('GET') ? ['HEAD'] : [])].toSorted().join(', ')
  const refusal = refuse({
    code: 'method-not-allowed',
    title: 'The method is not for this path',
    detail: `${pathname} takes ${allow}, not ${request.method}.`,
    remedy: 'Use one of those.',
  })
  return describeProblem(refusal.problem, trace, { headers: { allow } })
}

function matchesPath(pattern: string, pathname: string): boolean {
  const [wanted, given] = [pattern.split('/'), pathname.split('/')]
  if (wanted.length !== given.length) return false
  return wanted.every((part, i) => (part.startsWith('{') ? given[i] !== '' : part === given[i]))
}
