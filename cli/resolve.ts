/** Finds what a person means by a name: ids are taken as they are, names are asked for. */

import * as v from 'valibot'
import { pageSchema } from '../controller/contract/common.ts'
import type { Api } from './api.ts'

export type Reference = {
  /** As it is written in the command line: `load-balancer`. */
  readonly noun: string
  readonly path: string
  readonly idPrefix: string
  readonly isOfProject: boolean
}

/** Every noun that can be named. */
export const references = {
  project: { noun: 'project', path: '/v1/projects', idPrefix: 'prj', isOfProject: false },
  token: { noun: 'token', path: '/v1/tokens', idPrefix: 'tok', isOfProject: true },
  pool: { noun: 'pool', path: '/v1/pools', idPrefix: 'pol', isOfProject: true },
  shard: { noun: 'shard', path: '/v1/shards', idPrefix: 'shd', isOfProject: true },
  address: { noun: 'address', path: '/v1/addresses', idPrefix: 'adr', isOfProject: true },
  network: { noun: 'network', path: '/v1/networks', idPrefix: 'net', isOfProject: true },
  migration: { noun: 'migration', path: '/v1/migrations', idPrefix: 'mig', isOfProject: true },
  machine: { noun: 'machine', path: '/v1/machines', idPrefix: 'mch', isOfProject: true },
  'load-balancer': { noun: 'load-balancer', path: '/v1/load-balancers', idPrefix: 'lb', isOfProject: true },
  host: { noun: 'host', path: '/v1/hosts', idPrefix: 'hst', isOfProject: false },
} as const satisfies Record<string, Reference>

const foundSchema = pageSchema(v.object({ id: v.string(), name: v.string(), projectId: v.nullable(v.string()) }))

/** The id; throws when nothing has that name, or when several have it. */
export async function resolveId(api: Api, noun: string, nameOrId: string, projectId?: string): Promise<string> {
  const reference: Reference | undefined = Object.values(references).find((one) => one.noun === noun)
  if (reference === undefined) throw new Error(`BUG: ${noun} has no reference`)
  if (new RegExp(`^${reference.idPrefix}_[0-9a-z]{25}$`).test(nameOrId)) return nameOrId
  const query = { name: nameOrId, projectId: reference.isOfProject ? projectId : undefined }
  const page = v.parse(foundSchema, await api.call({ method: 'GET', path: reference.path, query }))
  const [first, second] = page.items.filter(({ name }) => name === nameOrId)
  if (first === undefined) {
    throw new Error(`there is no ${noun} "${nameOrId}"; \`sluice ${noun} list\` shows what there is`)
  }
  if (second === undefined) return first.id
  const by = reference.isOfProject ? 'give --project, or its id' : 'give its id'
  throw new Error(`several have the name "${nameOrId}" (${first.id}, ${second.id}, …); ${by}`)
}
