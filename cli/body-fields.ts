/** Turns a command's options into the body of a request, by a table of which option is which field. */

import { readFileSync } from 'node:fs'
import { type Command, Option } from 'commander'
import type { Api } from './api.ts'
import { resolveId } from './resolve.ts'

/** What commander makes of a command line. */
export type Options = Readonly<Record<string, unknown>>

export type BodyField = {
  /** As commander has it: `--cidr <cidr>`. */
  readonly flags: string
  readonly description: string
  /** Where it goes, by its path: `healthCheck.path`. */
  readonly field: string
  readonly parse: (text: string, context: ParseContext) => unknown
  /** May be given several times: the field is a list. */
  readonly isList?: boolean
  readonly isRequired?: boolean
}

export type ParseContext = { readonly api: Api; readonly flag: string; readonly projectId: string | undefined }

/** Taken as it is. */
export const text = (value: string) => value

export function number(value: string, { flag }: ParseContext): number {
  const parsed = Number(value)
  if (value.trim() === '' || !Number.isFinite(parsed)) throw new Error(`${flag} takes a number; "${value}" is none`)
  return parsed
}

export function trueOrFalse(value: string, { flag }: ParseContext): boolean {
  if (value === 'true' || value === 'false') return value === 'true'
  throw new Error(`${flag} takes true or false; "${value}" is neither`)
}

/** A name or an id of that noun, in the project that was given before. */
export const reference =
  (noun: string) =>
  (value: string, { api, projectId }: ParseContext) =>
    resolveId(api, noun, value, projectId)

export const projectField: BodyField = {
  flags: '--project <name|id>',
  description: 'whose it is',
  field: 'projectId',
  parse: (value, { api }) => resolveId(api, 'project', value),
  isRequired: true,
}

export function declareFields(command: Command, fields: readonly BodyField[]): void {
  for (const { flags, description, isList, isRequired } of fields) {
    const suffix = isList === true ? '; may be given again' : ''
    const option = new Option(flags, `${description}${suffix}${isRequired === true ? ' (needed)' : ''}`)
    if (isList === true) option.argParser((value: string, before: string[] = []) => [...before, value])
    command.addOption(option)
  }
}

export const wholeBodyOption = (command: Command) =>
  command.option('--from <file>', 'fields as JSON, - for standard input; options win over it')

/** The body: what `--from` has, then each option in the order of the table, so that names are looked up in the project. */
export async function buildBody(
  api: Api,
  fields: readonly BodyField[],
  options: Options,
  projectIdKnown?: string,
): Promise<Record<string, unknown>> {
  const body = typeof options.from === 'string' ? readBody(options.from) : {}
  for (const field of fields) {
    const flag = field.flags.split(' ')[0] ?? ''
    const given = options[optionKey(flag)]
    if (given === undefined) {
      const isThere = field.field.split('.')[0] ?? ''
      if (field.isRequired === true && !(isThere in body)) throw new Error(`${flag} is needed; ${field.description}`)
      continue
    }
    const projectId = typeof body.projectId === 'string' ? body.projectId : projectIdKnown
    const parse = (one: unknown) => field.parse(String(one), { api, flag, projectId })
    const value = Array.isArray(given) ? await Promise.all(given.map(parse)) : await parse(given)
    put(body, field.field.split('.'), value)
  }
  return body
}

export function readBody(path: string): Record<string, unknown> {
  const content = readFileSync(path === '-' ? 0 : path, 'utf8')
  const parsed: unknown = JSON.parse(content)
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return { ...parsed }
  throw new Error(`${path} must hold one JSON object`)
}

/** As commander names it: `--health-check` is `healthCheck`. */
function optionKey(flag: string): string {
  return flag.replace(/^--/, '').replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

function put(body: Record<string, unknown>, [first = '', ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) {
    body[first] = value
    return
  }
  const inner = body[first]
  const copy: Record<string, unknown> = typeof inner === 'object' && inner !== null ? { ...inner } : {}
  put(copy, rest, value)
  body[first] = copy
}
