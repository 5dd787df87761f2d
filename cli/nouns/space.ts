/** `sluice pool space|defragment` and `sluice network compact`: address space as a picture, and room made in it. */

import { Command } from 'commander'
import * as v from 'valibot'
import { type Migration, migrationSchema } from '../../controller/contract/migration.ts'
import {
  type Compaction,
  compactionSchema,
  type Defragmentation,
  defragmentationSchema,
  poolSpaceSchema,
} from '../../controller/contract/space.ts'
import type { Api } from '../api.ts'
import { type BodyField, buildBody, declareFields, number, type Options, text } from '../body-fields.ts'
import { watchMigration } from '../migration-progress.ts'
import { idOf } from '../noun.ts'
import { json } from '../output.ts'
import { references } from '../resolve.ts'
import { describeCompaction, describeDefragmentation } from '../room-words.ts'
import { describeSpace } from '../space-picture.ts'
import { describeBlocked } from './migration.ts'

type Connect = () => Api

/** Follows one migration until it is at rest. */
export type Watch = (migrationId: string) => Promise<Migration>

const columnsDefault = 80

const mannerFields: readonly BodyField[] = [
  {
    flags: '--mode <overlap|restart>',
    description: 'both addresses for a while, or the interface down and up',
    field: 'mode',
    parse: text,
  },
  { flags: '--parallelism <number>', description: 'how many move at a time', field: 'parallelism', parse: number },
  {
    flags: '--drain-seconds <seconds>',
    description: 'how long old connections may go on',
    field: 'drainSeconds',
    parse: number,
  },
]

const defragmentFields: readonly BodyField[] = [
  {
    flags: '--size <addresses>',
    description: 'of the block: a power of two, 16 to 4096',
    field: 'sizeAddresses',
    parse: number,
    isRequired: true,
  },
  { flags: '--cidr <cidr>', description: 'this very block', field: 'cidr', parse: text },
  ...mannerFields,
]

/** `sluice pool space POOL` and `sluice pool defragment POOL`. */
export const poolSpaceCommands = (connect: Connect): Command[] => [spaceVerb(connect), defragmentVerb(connect)]

const verbOf = (name: string, description: string) =>
  new Command(name)
    .description(description)
    .argument('<name|id>')
    .option('--project <name|id>', 'whose it is')
    .option('--json', 'the answer of the API, for programs', false)

const runOptions = (command: Command) =>
  command
    .option('--run', 'do it; else it is only shown', false)
    .option('--no-wait', 'with --run: leave once the migrations have begun')

function spaceVerb(connect: Connect): Command {
  return verbOf('space', 'a picture of its shards and free blocks').action(async (pool: string, options: Options) => {
    const api = connect()
    const path = `${references.pool.path}/${await idOf(api, references.pool, pool, options)}/space`
    const space = v.parse(poolSpaceSchema, await api.call({ method: 'GET', path }))
    const isTerminal = process.stdout.isTTY === true
    const isColoured = isTerminal && process.env.NO_COLOR === undefined
    const columns = isTerminal ? (process.stdout.columns ?? columnsDefault) : columnsDefault
    console.log(options.json === true ? json(space) : describeSpace(space, { isColoured, columns }))
  })
}

function defragmentVerb(connect: Connect): Command {
  const command = runOptions(verbOf('defragment', 'free a block of a wanted size by the fewest moves'))
  declareFields(command, defragmentFields)
  return command.action(async (pool: string, options: Options) => {
    const api = connect()
    const path = `${references.pool.path}/${await idOf(api, references.pool, pool, options)}/defragment`
    const body = await buildBody(api, defragmentFields, options)
    const watch = options.wait === false ? null : watchBy(api, options)
    const made = options.run === true ? await freeBlock(api, path, body, watch) : await ask(api, path, body, true)
    console.log(options.json === true ? json(made) : describeDefragmentation(made))
  })
}

/** `sluice network compact NETWORK`. */
export function compactCommand(connect: Connect): Command {
  const command = runOptions(verbOf('compact', 'empty as many of its shards as can be by the fewest moves'))
  declareFields(command, mannerFields)
  return command.action(async (network: string, options: Options) => {
    const api = connect()
    const path = `${references.network.path}/${await idOf(api, references.network, network, options)}/compact`
    const body = { ...(await buildBody(api, mannerFields, options)), dryRun: options.run !== true }
    const begun = v.parse(compactionSchema, await api.call({ method: 'POST', path, body }))
    const isFollowed = begun.status === 'migrating' && options.wait !== false
    if (isFollowed) await watchAll(begun, watchBy(api, options))
    const made: Compaction = isFollowed ? { ...begun, status: 'freed' } : begun
    console.log(options.json === true ? json(made) : describeCompaction(made))
  })
}

const ask = async (api: Api, path: string, body: object, dryRun: boolean): Promise<Defragmentation> =>
  v.parse(defragmentationSchema, await api.call({ method: 'POST', path, body: { ...body, dryRun } }))

/** Has the holders move, waits for them unless `watch` is null, and has the emptied shards of that block given back. */
export async function freeBlock(api: Api, path: string, body: object, watch: Watch | null): Promise<Defragmentation> {
  const begun = await ask(api, path, body, false)
  if (begun.status !== 'migrating' || watch === null) return begun
  await watchAll(begun, watch)
  return ask(api, path, { ...body, cidr: begun.block }, false)
}

/** One after the other, though all of them go on at the same time. Throws when one can't go on by itself. */
async function watchAll({ evacuate }: Pick<Compaction, 'evacuate'>, watch: Watch): Promise<void> {
  for (const { migrationId } of evacuate) {
    if (migrationId === null) continue
    const migration = await watch(migrationId)
    if (migration.status === 'blocked') throw new Error(describeBlocked(migration))
    if (migration.status !== 'done') throw new Error(`the migration ${migrationId} was ${migration.status} meanwhile`)
  }
}

/** On a terminal a bar in place; else a line for each change, beside the answer. */
function watchBy(api: Api, options: Options): Watch {
  const isDrawn = process.stdout.isTTY === true && options.json !== true
  return (migrationId) =>
    watchMigration({
      read: async () =>
        v.parse(
          migrationSchema,
          await api.call({ method: 'GET', path: `${references.migration.path}/${migrationId}` }),
        ),
      write: (words) => (isDrawn ? process.stdout : process.stderr).write(words),
      style: isDrawn ? 'bar' : 'lines',
      columns: process.stdout.columns ?? columnsDefault,
      now: Date.now,
      sleep: (milliseconds) => Bun.sleep(milliseconds),
    })
}
