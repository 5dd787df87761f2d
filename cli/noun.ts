/** What every noun's command has in common: list, show, create, update, delete, made from a description of the noun. */

import { Command } from 'commander'
import * as v from 'valibot'
import { pageSchema } from '../controller/contract/common.ts'
import type { Api } from './api.ts'
import { type BodyField, buildBody, declareFields, type Options, wholeBodyOption } from './body-fields.ts'
import { describeObject, json, table } from './output.ts'
import { type Reference, resolveId } from './resolve.ts'

export type Column<View> = { readonly heading: string; readonly of: (view: View) => string }

export type Noun<View> = Reference & {
  readonly aliases?: readonly string[]
  readonly description: string
  readonly schema: v.GenericSchema<unknown, View>
  readonly columns: readonly Column<View>[]
  /** Options of `list` that the API takes: the project is one of them wherever there is one. */
  readonly filters?: readonly BodyField[]
  readonly create?: {
    readonly fields: readonly BodyField[]
    /** False where the API makes a name when none is given. */
    readonly isNameRequired?: boolean
    readonly aliases?: readonly string[]
    /** Fills in what follows from the rest. */
    readonly complete?: (body: Record<string, unknown>) => Record<string, unknown>
    /** What is printed besides the object: secrets that are shown once. */
    readonly describe?: (answer: unknown, api: Api) => string
  }
  readonly update?: { readonly fields: readonly BodyField[] }
}

type Connect = () => Api

export const waitSecondsDefault = 60

/** `sluice <noun> …`, with `more` for what only this noun has. */
export function nounCommand<View>(noun: Noun<View>, connect: Connect, more: readonly Command[] = []): Command {
  const command = new Command(noun.noun).description(noun.description)
  for (const alias of noun.aliases ?? []) command.alias(alias)
  const verbs = [listVerb(noun, connect), showVerb(noun, connect), ...createVerb(noun, connect)]
  for (const verb of [...verbs, ...updateVerb(noun, connect), deleteVerb(noun, connect), ...more]) {
    command.addCommand(verb)
  }
  return command
}

export const jsonOption = (command: Command) => command.option('--json', 'the answer of the API, for programs', false)

/** `--project` tells which one is meant where several projects have one of that name. */
const projectOption = (command: Command, noun: Reference) =>
  noun.isOfProject ? command.option('--project <name|id>', 'whose it is') : command

export const waitOption = (command: Command) =>
  command
    .option('--wait [seconds]', `wait until it is so, ${waitSecondsDefault} s when no time is given`)
    .option('--no-wait', 'leave it to itself where others keep changing the same, and print the action')

/** What `--no-wait` makes of a request. */
export const followQuery = (options: Options): { readonly isFollowed: boolean } => ({
  isFollowed: options.wait !== false,
})

export function waitQuery(options: Options): Record<string, string> {
  if (options.wait === undefined || options.wait === false) return {}
  const seconds = options.wait === true ? waitSecondsDefault : Number(options.wait)
  if (!Number.isFinite(seconds) || seconds <= 0) throw new Error(`--wait takes seconds; "${options.wait}" is no time`)
  return { wait: 'true', timeout: `${seconds}s` }
}

const writeOptions = (command: Command) =>
  waitOption(jsonOption(command)).option('--if-match <version>', 'only if it still has this version')

const writeHeaders = (options: Options): Record<string, string> =>
  typeof options.ifMatch === 'string' ? { 'if-match': `"${options.ifMatch.replaceAll('"', '')}"` } : {}

export function printObject(options: Options, answer: unknown): void {
  console.log(options.json === true ? json(answer) : describeObject(answer))
}

/** All pages of a list. */
export async function listAll<View>(
  api: Api,
  path: string,
  schema: v.GenericSchema<unknown, View>,
  query: Readonly<Record<string, string | undefined>> = {},
): Promise<View[]> {
  const items: View[] = []
  let after: string | undefined
  do {
    const answer = await api.call({ method: 'GET', path, query: { ...query, after } })
    const page = v.parse(pageSchema(schema), answer)
    items.push(...page.items)
    after = page.next ?? undefined
  } while (after !== undefined)
  return items
}

function listVerb<View>(noun: Noun<View>, connect: Connect): Command {
  const command = projectOption(jsonOption(new Command('list').alias('ls').description(`all of them`)), noun)
  declareFields(command, noun.filters ?? [])
  return command.action(async (options: Options) => {
    const api = connect()
    const project = typeof options.project === 'string' ? await resolveId(api, 'project', options.project) : undefined
    const query = await buildBody(api, noun.filters ?? [], options, project)
    const items = await listAll(api, noun.path, noun.schema, { ...stringValues(query), projectId: project })
    if (options.json === true) console.log(json({ items }))
    else console.log(items.length === 0 ? `no ${noun.noun}` : tableOf(noun.columns, items))
  })
}

export const tableOf = <View>(columns: readonly Column<View>[], items: readonly View[]) =>
  table(
    columns.map(({ heading }) => heading),
    items.map((item) => columns.map(({ of }) => of(item))),
  )

function stringValues(query: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(Object.entries(query).map(([key, value]) => [key, String(value)]))
}

function showVerb<View>(noun: Noun<View>, connect: Connect): Command {
  const command = jsonOption(new Command('show').alias('get').description('one of them').argument('<name|id>'))
  return projectOption(command, noun).action(async (nameOrId: string, options: Options) => {
    const api = connect()
    const id = await idOf(api, noun, nameOrId, options)
    printObject(options, await api.call({ method: 'GET', path: `${noun.path}/${id}` }))
  })
}

export async function idOf(api: Api, noun: Reference, nameOrId: string, options: Options): Promise<string> {
  const project = typeof options.project === 'string' ? await resolveId(api, 'project', options.project) : undefined
  return await resolveId(api, noun.noun, nameOrId, project)
}

function createVerb<View>(noun: Noun<View>, connect: Connect): Command[] {
  const { create } = noun
  if (create === undefined) return []
  const isNameRequired = create.isNameRequired ?? true
  const command = new Command('create').description('make one').argument(isNameRequired ? '<name>' : '[name]')
  for (const alias of create.aliases ?? []) command.alias(alias)
  declareFields(waitOption(jsonOption(command)), create.fields)
  wholeBodyOption(command).option('--idempotency-key <key>', 'the same for every repetition of this request')
  command.action(async (name: string | undefined, options: Options) => {
    const api = connect()
    const given = await buildBody(api, create.fields, options)
    const body = create.complete === undefined ? given : create.complete(given)
    const key = options.idempotencyKey
    const answer = await api.call({
      method: 'POST',
      path: noun.path,
      query: waitQuery(options),
      ...followQuery(options),
      body: name === undefined ? body : { name, ...body },
      headers: typeof key === 'string' ? { 'idempotency-key': key } : {},
    })
    if (options.json === true || create.describe === undefined) printObject(options, answer)
    else console.log(create.describe(answer, api))
  })
  return [command]
}

function updateVerb<View>(noun: Noun<View>, connect: Connect): Command[] {
  const { update } = noun
  if (update === undefined) return []
  const command = new Command('update').description('change what is given, leave the rest').argument('<name|id>')
  declareFields(wholeBodyOption(projectOption(writeOptions(command), noun)), update.fields)
  command.action(async (nameOrId: string, options: Options) => {
    const api = connect()
    const body = await buildBody(api, update.fields, options)
    if (Object.keys(body).length === 0) {
      throw new Error(`nothing to change was given; \`sluice ${noun.noun} update --help\` tells what can be`)
    }
    const id = await idOf(api, noun, nameOrId, options)
    const path = `${noun.path}/${id}`
    const headers = writeHeaders(options)
    printObject(
      options,
      await api.call({ method: 'PATCH', path, query: waitQuery(options), ...followQuery(options), body, headers }),
    )
  })
  return [command]
}

function deleteVerb<View>(noun: Noun<View>, connect: Connect): Command {
  const command = writeOptions(new Command('delete').alias('rm').description('give it up').argument('<name|id>'))
  return projectOption(command, noun).action(async (nameOrId: string, options: Options) => {
    const api = connect()
    const id = await idOf(api, noun, nameOrId, options)
    const path = `${noun.path}/${id}`
    const headers = writeHeaders(options)
    const answer = await api.call({
      method: 'DELETE',
      path,
      query: waitQuery(options),
      ...followQuery(options),
      headers,
    })
    // Without a body it is gone; with one its hosts have to give it up first.
    if (options.json === true) console.log(json(answer ?? { id, status: 'deleted' }))
    else
      console.log(answer === undefined ? `${noun.noun} ${nameOrId} is deleted` : `${noun.noun} ${nameOrId} is deleting`)
  })
}
