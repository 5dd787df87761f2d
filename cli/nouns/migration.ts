/** `sluice migration`: how shards are emptied while their holders run; and `sluice shard plan|migrate`. */

import { Command } from 'commander'
import * as v from 'valibot'
import {
  type Migration,
  type MigrationPlan,
  type MigrationSummary,
  migrationActions,
  migrationPlanSchema,
  migrationSchema,
  migrationSummarySchema,
} from '../../controller/contract/migration.ts'
import type { Api } from '../api.ts'
import { type BodyField, buildBody, declareFields, number, type Options, reference, text } from '../body-fields.ts'
import { describeStanding, isAtRest, watchMigration } from '../migration-progress.ts'
import { type Column, followQuery, idOf, jsonOption, listAll, tableOf, waitOption, waitQuery } from '../noun.ts'
import { describeObject, json } from '../output.ts'
import { references, resolveId } from '../resolve.ts'

type Connect = () => Api

const { path: migrationsPath, idPrefix } = references.migration

const columns: readonly Column<MigrationSummary>[] = [
  { heading: 'shard', of: ({ name }) => name },
  { heading: 'status', of: ({ status }) => status },
  { heading: 'mode', of: ({ mode }) => mode },
  { heading: 'moved', of: ({ movesDone, movesTotal }) => `${movesDone}/${movesTotal}` },
  { heading: 'failed', of: ({ movesFailed }) => String(movesFailed) },
  { heading: 'id', of: ({ id }) => id },
]

const moveColumns: readonly Column<Migration['moves'][number]>[] = [
  { heading: 'holder', of: ({ name }) => name },
  { heading: 'from', of: ({ from }) => from },
  { heading: 'to', of: ({ to }) => to ?? '-' },
  { heading: 'step', of: ({ step }) => step },
  { heading: 'reason', of: ({ reason }) => reason ?? '-' },
]

const planColumns: readonly Column<MigrationPlan['moves'][number]>[] = [
  { heading: 'holder', of: ({ name }) => name },
  { heading: 'kind', of: ({ ownerKind }) => ownerKind },
  { heading: 'from', of: ({ from }) => from },
  { heading: 'to', of: ({ to }) => to },
  { heading: 'connections', of: ({ breaksConnections }) => (breaksConnections ? 'break' : 'kept') },
]

export function migrationCommand(connect: Connect): Command {
  const command = new Command('migration').description('shards whose holders move away while they run')
  const verbs = [listVerb(connect), showVerb(connect), ...actionVerbs(connect), watchVerb(connect)]
  for (const verb of verbs) command.addCommand(verb)
  return command
}

const oneMigration = (command: Command) =>
  jsonOption(command)
    .argument('<shard|id>', "its id, or its shard's name: the last one then")
    .option('--project <name|id>', 'whose it is')

const projectOf = async (api: Api, options: Options) =>
  typeof options.project === 'string' ? await resolveId(api, 'project', options.project) : undefined

/** Migrations have their shard's name, which several may have had one after the other. */
async function findMigration(api: Api, nameOrId: string, options: Options): Promise<string> {
  if (nameOrId.startsWith(`${idPrefix}_`)) return nameOrId
  const query = { name: nameOrId, projectId: await projectOf(api, options) }
  const found = await listAll(api, migrationsPath, migrationSummarySchema, query)
  const last = found.at(-1)
  if (last === undefined) {
    throw new Error(`there is no migration of a shard "${nameOrId}"; \`sluice migration list\` shows what there is`)
  }
  if (found.every(({ projectId }) => projectId === last.projectId)) return last.id
  throw new Error(`several projects have a shard "${nameOrId}" with migrations; give --project, or the migration's id`)
}

function listVerb(connect: Connect): Command {
  const network: BodyField = {
    flags: '--network <name|id>',
    description: 'only of this network',
    field: 'networkId',
    parse: reference('network'),
  }
  const shard: BodyField = {
    flags: '--shard <name|id>',
    description: 'only of this shard',
    field: 'shardId',
    parse: reference('shard'),
  }
  const status: BodyField = { flags: '--status <status>', description: 'only these', field: 'status', parse: text }
  const command = jsonOption(new Command('list').alias('ls').description('all of them'))
  declareFields(command.option('--project <name|id>', 'whose they are'), [network, shard, status])
  return command.action(async (options: Options) => {
    const api = connect()
    const projectId = await projectOf(api, options)
    const filters = v.parse(
      v.record(v.string(), v.string()),
      await buildBody(api, [network, shard, status], options, projectId),
    )
    const items = await listAll(api, migrationsPath, migrationSummarySchema, { ...filters, projectId })
    if (options.json === true) console.log(json({ items }))
    else console.log(items.length === 0 ? 'no migration' : tableOf(columns, items))
  })
}

const showVerb = (connect: Connect) =>
  oneMigration(new Command('show').alias('get').description('one of them, with its moves')).action(
    async (nameOrId: string, options: Options) => {
      const api = connect()
      printMigration(options, await readMigration(api, await findMigration(api, nameOrId, options)))
    },
  )

const actionDescriptions = {
  cancel: 'begin no other move; what has moved stays moved',
  rollback: 'have every holder go back to the address that it had',
  resume: 'go on with one that is blocked or was cancelled',
} as const

const actionVerbs = (connect: Connect) =>
  migrationActions.map((action) =>
    waitOption(oneMigration(new Command(action).description(actionDescriptions[action]))).action(
      async (nameOrId: string, options: Options) => {
        const api = connect()
        const path = `${migrationsPath}/${await findMigration(api, nameOrId, options)}/${action}`
        const answer = await api.call({ method: 'POST', path, query: waitQuery(options), ...followQuery(options) })
        printStanding(options, v.parse(migrationSchema, answer))
      },
    ),
  )

const watchVerb = (connect: Connect) =>
  oneMigration(new Command('watch').description('follow it until it ends, or waits for somebody')).action(
    async (nameOrId: string, options: Options) => {
      const api = connect()
      await followMigration(api, await findMigration(api, nameOrId, options), options)
    },
  )

/** Tells of it until it is at rest; throws where it is blocked then. */
export async function followMigration(api: Api, id: string, options: Options): Promise<void> {
  const isTerminal = process.stdout.isTTY === true
  const migration = await watchMigration({
    read: () => readMigration(api, id),
    write: (written) => process.stdout.write(written),
    style: options.json === true ? 'json' : isTerminal ? 'bar' : 'lines',
    columns: process.stdout.columns ?? 80,
    now: Date.now,
    sleep: (milliseconds) => Bun.sleep(milliseconds),
  })
  if (isTerminal && options.json !== true) console.log(describeStanding(migration))
  if (migration.status === 'blocked') throw new Error(describeBlocked(migration))
}

/** Who could not move and why, and what can be done. */
export function describeBlocked({ id, moves, reason }: Migration): string {
  const failed = moves.filter(({ step }) => step === 'failed')
  return [
    `the migration is blocked: ${reason ?? 'some could not move'}`,
    ...failed.map(({ name, from, reason: why }) => `  ${name} (${from}): ${why ?? 'it could not move'}`),
    `  remedy: put that right and \`sluice migration resume ${id}\`, or \`sluice migration rollback ${id}\``,
  ].join('\n')
}

const readMigration = async (api: Api, id: string): Promise<Migration> =>
  v.parse(migrationSchema, await api.call({ method: 'GET', path: `${migrationsPath}/${id}` }))

function printMigration(options: Options, migration: Migration): void {
  const { moves, ...rest } = migration
  const table = moves.length === 0 ? '' : `\n\n${tableOf(moveColumns, moves)}`
  const why = migration.status === 'blocked' ? `\n\n${describeBlocked(migration)}` : ''
  console.log(options.json === true ? json(migration) : `${describeObject(rest)}${table}${why}`)
}

/** In one line how it is, and how it is followed. */
export function printStanding(options: Options, migration: Migration): void {
  const follow = isAtRest(migration) ? '' : `\nfollow it: sluice migration watch ${migration.id}`
  console.log(options.json === true ? json(migration) : `${describeStanding(migration)}${follow}`)
}

const migrateFields: readonly BodyField[] = [
  {
    flags: '--mode <overlap|restart>',
    description: 'both addresses for a while, or the interface down and up',
    field: 'mode',
    parse: text,
  },
  {
    flags: '--to-network <name|id>',
    description: 'the network that the shard joins then; else it is available',
    field: 'toNetworkId',
    parse: reference('network'),
  },
  { flags: '--parallelism <number>', description: 'how many move at a time', field: 'parallelism', parse: number },
  {
    flags: '--drain-seconds <seconds>',
    description: 'how long old connections may go on',
    field: 'drainSeconds',
    parse: number,
  },
]

/** `sluice shard plan SHARD` and `sluice shard migrate SHARD`. */
export function shardMigrationCommands(connect: Connect): Command[] {
  return [planVerb(connect), migrateVerb(connect)]
}

const shardVerb = (name: string, description: string) => {
  const command = jsonOption(new Command(name).description(description).argument('<name|id>'))
  declareFields(command.option('--project <name|id>', 'whose it is'), migrateFields)
  return command
}

async function askToMigrate(api: Api, shard: string, options: Options, dryRun: boolean): Promise<unknown> {
  const projectId = await projectOf(api, options)
  const id = await idOf(api, references.shard, shard, options)
  const body = { ...(await buildBody(api, migrateFields, options, projectId)), dryRun }
  const query = dryRun ? {} : waitQuery(options)
  return api.call({ method: 'POST', path: `${references.shard.path}/${id}/migrate`, query, body })
}

const planVerb = (connect: Connect) =>
  shardVerb('plan', 'who would move where, and for how long').action(async (shard: string, options: Options) => {
    const plan = v.parse(migrationPlanSchema, await askToMigrate(connect(), shard, options, true))
    console.log(options.json === true ? json(plan) : describePlan(plan))
  })

export function describePlan({ moves, mode, secondsMaximum }: MigrationPlan): string {
  if (moves.length === 0) return 'nobody holds an address of it: it is free at once'
  const holders = moves.length === 1 ? '1 holder moves' : `${moves.length} holders move`
  return `${tableOf(planColumns, moves)}\n${holders} in ${mode} mode, in at most ${secondsMaximum} s`
}

const migrateVerb = (connect: Connect) =>
  waitOption(shardVerb('migrate', 'have its holders move to other shards of their network'))
    .option('--watch', 'follow it until it ends', false)
    .action(async (shard: string, options: Options) => {
      const api = connect()
      const migration = v.parse(migrationSchema, await askToMigrate(api, shard, options, false))
      if (options.watch === true) await followMigration(api, migration.id, options)
      else printStanding(options, migration)
    })
