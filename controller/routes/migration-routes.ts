/**
 * Migrations: `/v1/migrations` with what steers them, and a shard's way out of its network, asked for by name
 * (`/shards/{id}/migrate`) or by taking it away while it is in use.
 */

import * as v from 'valibot'
import { isAtRest, statusOf } from '../address-space/view-migration.ts'
import { shardSchema } from '../contract/address-space.ts'
import { idSchema, pageSchema } from '../contract/common.ts'
import {
  type Migration,
  type MigrationAction,
  migrationActions,
  migrationCreateSchema,
  migrationPlanSchema,
  migrationSchema,
  migrationStatuses,
  migrationSummarySchema,
} from '../contract/migration.ts'
import { type Outcome, succeed } from '../contract/problem.ts'
import { type MigrationValue, migrationKind } from '../objects.ts'
import type { ControllerContext, ListQuery, RequestInfo, Services } from '../services.ts'
import { commonProblems, limitParameter, textParameter, waitEntries } from './parameters.ts'
import { type Answer, defineRoute, type Route, type Settling } from './route.ts'
import { createHistoryRoute, readKeptVersion, showEntries, shownOrKept, type Versioned } from './version-routes.ts'

type MigrationServices = Pick<Services, 'migrations' | 'shards'>

const changeProblems = [
  'not-found',
  'conflict',
  'in-use',
  'precondition-failed',
  'idempotency-key-reused',
  'timeout',
] as const
const migrationParameter = { id: idSchema('mig') }
const versioned: Versioned<MigrationValue> = {
  name: 'migration',
  path: 'migrations',
  typeName: 'Migration',
  idSchema: migrationParameter.id,
  access: 'bearer',
  kind: migrationKind,
  projectIdOf: ({ value }) => value.projectId,
}
const waitQuery = v.strictObject(waitEntries)

/** Once with the prefix `/v1`, once without. */
export function createMigrationRoutes(
  context: Pick<ControllerContext, 'store'>,
  services: MigrationServices,
  prefix: string,
): readonly Route[] {
  return [
    listRoute(services, prefix),
    showRoute(context, services, prefix),
    createHistoryRoute(context, versioned, prefix),
    ...migrationActions.map((action) => actionRoute(services, prefix, action)),
    migrateRoute(services, prefix),
    deallocateRoute(services, prefix),
  ]
}

const suffixOf = (prefix: string) => (prefix === '/v1' ? '' : 'WithoutVersion')
const common = (prefix: string) => ({ tag: 'migration', access: 'bearer', suffix: suffixOf(prefix) }) as const

function listRoute({ migrations }: MigrationServices, prefix: string): Route {
  const { suffix, ...shared } = common(prefix)
  return defineRoute(
    {
      ...shared,
      method: 'GET',
      path: `${prefix}/migrations`,
      operationId: `listMigrations${suffix}`,
      summary: 'List migrations',
      description:
        'In the order in which they began, in pages: `next` is given as `after` for the page that follows. A migration has the name of its shard. How far each holder is, is shown with the migration alone.',
      query: v.strictObject({
        projectId: textParameter,
        networkId: textParameter,
        shardId: textParameter,
        name: textParameter,
        status: v.optional(v.picklist(migrationStatuses)),
        after: textParameter,
        limit: limitParameter,
      }),
      answers: [{ status: 200, description: 'A page', schema: pageSchema(migrationSummarySchema) }],
      problems: commonProblems,
    },
    async ({ query, request }) => {
      const page = await migrations.list(query as ListQuery, request)
      return page.ok ? succeed({ status: 200, body: page.value }) : page
    },
  )
}

function showRoute(
  context: Pick<ControllerContext, 'store'>,
  { migrations }: MigrationServices,
  prefix: string,
): Route {
  const { suffix, ...shared } = common(prefix)
  return defineRoute(
    {
      ...shared,
      method: 'GET',
      path: `${prefix}/migrations/{id}`,
      operationId: `showMigration${suffix}`,
      summary: 'Show a migration',
      description: 'With its moves: each holder of an address of the shard, from where to where, and how far it is.',
      parameters: migrationParameter,
      query: v.strictObject(showEntries),
      answers: [
        { status: 200, description: 'The migration, or a version of it', schema: shownOrKept(migrationSchema) },
      ],
      problems: [...commonProblems, 'not-found'],
    },
    async ({ parameters: { id = '' }, query: { version }, request }) => {
      if (version !== undefined) return readKeptVersion(context, versioned, { id, version }, request)
      const shown = await migrations.show(id, request)
      return shown.ok ? succeed({ status: 200, body: shown.value, version: shown.value.version }) : shown
    },
  )
}

const actionWords: Readonly<Record<MigrationAction, { readonly summary: string; readonly description: string }>> = {
  cancel: {
    summary: 'Cancel a migration',
    description: 'No other holder begins to move; what is under way ends, and what has moved stays where it is.',
  },
  rollback: {
    summary: 'Roll a migration back',
    description: 'Each holder goes back to the address that it had, and the shard stays where it was.',
  },
  resume: {
    summary: 'Resume a migration',
    description: 'Goes on with one that is blocked or was cancelled; moves that failed are tried again.',
  },
}

function actionRoute({ migrations }: MigrationServices, prefix: string, action: MigrationAction): Route {
  const { suffix, ...shared } = common(prefix)
  return defineRoute(
    {
      ...shared,
      ...actionWords[action],
      method: 'POST',
      path: `${prefix}/migrations/{id}/${action}`,
      operationId: `${action}Migration${suffix}`,
      parameters: migrationParameter,
      query: waitQuery,
      takesIfMatch: true,
      takesIdempotencyKey: true,
      answers: [{ status: 202, description: 'The migration, which does so by itself', schema: migrationSchema }],
      problems: [...commonProblems, ...changeProblems],
    },
    async ({ parameters: { id = '' }, request }) => {
      const acted = await migrations.act(id, action, request)
      return acted.ok ? succeed(describeAccepted({ migrations }, prefix, acted.value, request)) : acted
    },
  )
}

function migrateRoute({ migrations }: MigrationServices, prefix: string): Route {
  const { suffix } = common(prefix)
  return defineRoute(
    {
      method: 'POST',
      path: `${prefix}/shards/{id}/migrate`,
      operationId: `migrateShard${suffix}`,
      tag: 'shard',
      access: 'bearer',
      summary: 'Migrate a shard',
      description:
        'Those that hold its addresses move to other shards of their network while they run; then it joins `toNetworkId`, or is available. ' +
        'Refused before anything moves where the target space is short. With `dryRun` it answers what would move where.',
      parameters: { id: idSchema('shd') },
      query: waitQuery,
      body: migrationCreateSchema,
      takesIfMatch: true,
      takesIdempotencyKey: true,
      answers: [
        { status: 200, description: 'With `dryRun`: what would move where', schema: migrationPlanSchema },
        { status: 202, description: 'The migration; Location says where it is', schema: migrationSchema },
      ],
      problems: [...commonProblems, ...changeProblems, 'malformed', 'payload-too-large', 'in-use', 'no-space'],
    },
    async ({ parameters: { id = '' }, body, request }) => {
      if (body.dryRun) {
        const plan = await migrations.plan(id, body, request)
        return plan.ok ? succeed<Answer>({ status: 200, body: plan.value }) : plan
      }
      const started = await migrations.start(id, body, request)
      return started.ok ? succeed(describeAccepted({ migrations }, prefix, started.value, request)) : started
    },
  )
}

function deallocateRoute(services: MigrationServices, prefix: string): Route {
  const { suffix } = common(prefix)
  return defineRoute(
    {
      method: 'DELETE',
      path: `${prefix}/networks/{networkId}/shards/{shardId}`,
      operationId: `deallocateShard${suffix}`,
      tag: 'shard',
      access: 'bearer',
      summary: 'Deallocate a shard from a network',
      description:
        "Those that hold its addresses move to the network's other shards first: then the answer is 202 with the migration.",
      parameters: { networkId: idSchema('net'), shardId: idSchema('shd') },
      query: waitQuery,
      takesIfMatch: true,
      takesIdempotencyKey: true,
      answers: [
        { status: 200, description: 'The shard, which nobody used', schema: shardSchema },
        {
          status: 202,
          description: 'The migration that empties it; Location says where it is',
          schema: migrationSchema,
        },
      ],
      problems: [...commonProblems, ...changeProblems, 'no-space'],
    },
    async ({ parameters: { networkId = '', shardId = '' }, request }) =>
      deallocate(services, prefix, { networkId, shardId }, request),
  )
}

async function deallocate(
  services: MigrationServices,
  prefix: string,
  { networkId, shardId }: { readonly networkId: string; readonly shardId: string },
  request: RequestInfo,
): Promise<Outcome<Answer>> {
  const { shards, migrations } = services
  const shard = await shards.deallocate(networkId, shardId, request)
  if (shard.ok) return succeed({ status: 200, body: shard.value, version: shard.value.version })
  if (shard.problem.code !== 'in-use') return shard
  const started = await migrations.evacuate(shardId, { ...request, actionId: `${request.actionId} evacuate` })
  return started.ok ? succeed(describeAccepted(services, prefix, started.value, request)) : started
}

/** It goes on by itself; `?wait` waits until it has ended, or waits for somebody. */
function describeAccepted(
  { migrations }: Pick<Services, 'migrations'>,
  prefix: string,
  migration: Migration,
  request: RequestInfo,
): Answer {
  const { id } = migration
  const describe = (shown: Migration): Answer => ({
    status: 202,
    body: shown,
    version: shown.version,
    headers: { location: `${prefix}/migrations/${id}` },
  })
  const settles: Settling = {
    kind: migrationKind,
    id,
    until: 'ended',
    statusKind: null,
    judge: (value) => judgeEnd(value as MigrationValue),
    answer: async () => {
      const shown = await migrations.show(id, request)
      return shown.ok ? succeed(describe(shown.value)) : shown
    },
  }
  return { ...describe(migration), settles }
}

const judgeEnd = (value: MigrationValue) => ({
  isDone: isAtRest(value),
  detail: `it is ${statusOf(value)}, and its holders are still moving`,
})
