/** `sluice history <kind> <name>`: the versions of an object that are kept, and what each of them changed. */

import { Command } from 'commander'
import * as v from 'valibot'
import type { Api } from '../api.ts'
import type { Options } from '../body-fields.ts'
import { jsonOption } from '../noun.ts'
import { json, table } from '../output.ts'
import { references, resolveId } from '../resolve.ts'

const specSchema = v.nullable(v.record(v.string(), v.unknown()))
const historySchema = v.object({
  items: v.array(v.object({ version: v.number(), updatedAt: v.string(), spec: specSchema })),
})
type Version = v.InferOutput<typeof historySchema>['items'][number]

// Those of an address are its holders: `sluice address history`.
const kinds: readonly string[] = Object.values(references)
  .map(({ noun }) => noun)
  .filter((noun) => noun !== 'address')

export function historyCommand(connect: () => Api): Command {
  return jsonOption(new Command('history').description('the versions of an object, and what each of them changed'))
    .argument('<kind>', `one of ${kinds.join(', ')}`)
    .argument('<name|id>', 'one that is deleted has its id alone')
    .option('--project <name|id>', 'whose it is')
    .option('--version <number>', 'only that one, whole')
    .action(async (kind: string, nameOrId: string, options: Options) => {
      const reference = Object.values(references).find(({ noun }) => noun === kind && kinds.includes(noun))
      if (reference === undefined) throw new Error(`"${kind}" has no history; these have: ${kinds.join(', ')}`)
      const api = connect()
      const { project, version } = options
      const projectId = typeof project === 'string' ? await resolveId(api, 'project', project) : undefined
      const path = `${reference.path}/${await resolveId(api, kind, nameOrId, projectId)}`
      if (typeof version === 'string') {
        console.log(json(await api.call({ method: 'GET', path, query: { version } })))
        return
      }
      const answer = await api.call({ method: 'GET', path: `${path}/history` })
      console.log(options.json === true ? json(answer) : describeHistory(v.parse(historySchema, answer).items))
    })
}

/** A line for each field that a version changed. */
export function describeHistory(versions: readonly Version[]): string {
  const rows = versions.flatMap(({ version, updatedAt, spec }, i) => {
    const at = [String(version), updatedAt.replace(/\.\d+Z$/, 'Z')]
    if (spec === null) return [[...at, 'deleted', '']]
    const before = versions[i - 1]?.spec ?? null
    const changed = Object.keys({ ...before, ...spec }).filter((field) => !isSame(before?.[field], spec[field]))
    if (before === null) return [[...at, i > 0 || version === 1 ? 'created' : 'the oldest that is kept', '']]
    if (changed.length === 0) return [[...at, 'nothing', '']]
    return changed.map((field, line) => [...(line === 0 ? at : ['', '']), field, JSON.stringify(spec[field] ?? null)])
  })
  return table(['version', 'at', 'changed', 'to'], rows)
}

const isSame = (one: unknown, other: unknown) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null)
