/** `sluice microshard`: where the control plane's data is, and how it is split, merged and moved while it is in use. */

import { Command } from 'commander'
import * as v from 'valibot'
import {
  directorySchema,
  type MicroshardEntryView,
  type MicroshardOperationView,
  type MicroshardView,
  microshardOperationSchema,
  microshardSchema,
  shardLocationSchema,
} from '../../controller/contract/microshard.ts'
import type { Api } from '../api.ts'
import type { Options } from '../body-fields.ts'
import { type Column, jsonOption, printObject, tableOf, waitOption, waitQuery } from '../noun.ts'
import { json } from '../output.ts'
import { microshardTopCommand } from '../top/top.ts'
import { explainVerb, policiesVerb } from './microshard-policies.ts'
import { reshardVerb, weightsVerb } from './microshard-weights.ts'

type Connect = () => Api

const path = '/v1/microshards'
const operationsPath = `${path}/operations`
const watchMilliseconds = 500

const columns: readonly Column<MicroshardView>[] = [
  { heading: 'id', of: ({ id }) => id },
  { heading: 'from', of: ({ from }) => from },
  { heading: 'status', of: ({ status, phase }) => (phase === null ? status : `${status}, ${phase}`) },
  { heading: 'node', of: ({ node }) => node ?? '-' },
  { heading: 'epoch', of: ({ epoch }) => String(epoch) },
  { heading: 'objects', of: ({ objects }) => String(objects) },
  { heading: 'keys', of: ({ keys }) => String(keys) },
  { heading: 'bytes', of: ({ bytes }) => String(bytes) },
]

const decisionVerbs = [microshardTopCommand, explainVerb, policiesVerb]

export function microshardCommand(connect: Connect): Command {
  const command = new Command('microshard').description("the parts of the control plane's data, and where they are")
  const verbs = [
    listVerb,
    showVerb,
    locateVerb,
    splitVerb,
    mergeVerb,
    migrateVerb,
    abortVerb,
    watchVerb,
    weightsVerb,
    reshardVerb,
    ...decisionVerbs,
  ]
  for (const verb of verbs) command.addCommand(verb(connect))
  return command
}

const listVerb = (connect: Connect) =>
  jsonOption(new Command('list').alias('ls').description('all of them, in the order of the ring')).action(
    async (options: Options) => {
      const answer = await connect().call({ method: 'GET', path })
      const { items } = v.parse(v.object({ items: v.array(microshardSchema) }), answer)
      console.log(options.json === true ? json({ items }) : tableOf(columns, items))
    },
  )

const showVerb = (connect: Connect) =>
  jsonOption(new Command('show').alias('get').argument('<id>').description('one of them')).action(
    async (id: string, options: Options) =>
      printObject(options, await connect().call({ method: 'GET', path: `${path}/${id}` })),
  )

const locateVerb = (connect: Connect) =>
  jsonOption(
    new Command('locate').argument('<user>').argument('<action>').description('where an action is done'),
  ).action(async (user: string, action: string, options: Options) => {
    const answer = await connect().call({ method: 'GET', path: '/v1/directory', query: { user, action } })
    printObject(options, v.parse(shardLocationSchema, answer))
  })

const splitVerb = (connect: Connect) =>
  changeVerb(new Command('split').description('cut one in two where its load halves'))
    .option('--at <key>', 'the first key of the upper half, 16 hex digits')
    .action(async (id: string, options: Options) =>
      change(connect(), `${path}/${id}/split`, options.at === undefined ? {} : { at: options.at }, options),
    )

const mergeVerb = (connect: Connect) =>
  changeVerb(new Command('merge').description('join one with its neighbour'))
    .requiredOption('--with <id>', 'the neighbour')
    .action(async (id: string, options: Options) =>
      change(connect(), `${path}/${id}/merge`, { withId: options.with }, options),
    )

const migrateVerb = (connect: Connect) =>
  changeVerb(new Command('migrate').alias('move').description('move one to another node'))
    .requiredOption('--node, --to-node <name>', 'the node')
    .action(async (id: string, options: Options) =>
      change(connect(), `${path}/${id}/migrate`, { toNode: options.toNode }, options),
    )

const abortVerb = (connect: Connect) =>
  changeVerb(new Command('abort').description('give an operation up that has not been switched'), '<operation>').action(
    async (id: string, options: Options) => change(connect(), `${operationsPath}/${id}/abort`, undefined, options),
  )

const changeVerb = (command: Command, argument = '<id>') => waitOption(jsonOption(command)).argument(argument)

async function change(api: Api, target: string, body: object | undefined, options: Options): Promise<void> {
  const query = waitQuery(options)
  const answer = await api.call({ method: 'POST', path: target, query, ...(body === undefined ? {} : { body }) })
  const operation = v.parse(microshardOperationSchema, answer)
  console.log(options.json === true ? json(operation) : describeOperation(operation))
}

const watchVerb = (connect: Connect) =>
  jsonOption(
    new Command('watch')
      .argument('[operation]')
      .description('follow an operation until it ends, or else all that happens'),
  ).action(async (id: string | undefined, options: Options) => {
    const api = connect()
    if (id === undefined) await watchDirectory(api, options)
    else await watchOperation(api, id, options)
  })

async function watchOperation(api: Api, id: string, options: Options): Promise<void> {
  let told = ''
  for (;;) {
    const answer = await api.call({ method: 'GET', path: `${operationsPath}/${id}` })
    const operation = v.parse(microshardOperationSchema, answer)
    const line = options.json === true ? JSON.stringify(operation) : describeOperation(operation)
    if (line !== told) console.log(line)
    told = line
    if (operation.status !== 'running') return
    await Bun.sleep(watchMilliseconds)
  }
}

/** Until it is ended from outside. */
async function watchDirectory(api: Api, options: Options): Promise<void> {
  let told = 0
  for (;;) {
    const directory = v.parse(directorySchema, await api.call({ method: 'GET', path: '/v1/directory' }))
    if (directory.version !== told) {
      const running = directory.operations.filter(({ status }) => status === 'running')
      console.log(options.json === true ? JSON.stringify(directory) : describeDirectory(directory, running))
    }
    told = directory.version
    await Bun.sleep(watchMilliseconds)
  }
}

export function describeOperation(operation: MicroshardOperationView): string {
  const { id, kind, status, phase, sources, targets } = operation
  return `${kind} ${id}: ${phase ?? status}, ${sources.join(' and ')} become ${targets.join(' and ')}`
}

function describeDirectory(
  { version, microshards }: { readonly version: number; readonly microshards: readonly MicroshardEntryView[] },
  running: readonly MicroshardOperationView[],
): string {
  const active = microshards.filter(({ status }) => status === 'active').length
  return [`version ${version}: ${active} of ${microshards.length} are active`, ...running.map(describeOperation)].join(
    '\n',
  )
}
