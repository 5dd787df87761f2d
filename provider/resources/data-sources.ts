/** The two data sources that every noun has: one object by id or name, and all that fit a filter. */

import type * as v from 'valibot'
import { findObject } from '../api/client.ts'
import {
  type Attribute,
  atLeastOneOf,
  atMostOneOf,
  defineSchema,
  errorDiagnostic,
  type Fields,
  list,
  object,
  ProviderError,
  string,
} from '../plugin/index.ts'
import { anId, asComputed } from './attributes.ts'
import { defineDataSource } from './define.ts'

interface NounView {
  readonly id: string
  readonly name: string
  readonly projectId: string | null
}

interface NounWords {
  /** `load_balancer`: as the data source is named. */
  readonly name: string
  /** `load_balancers`: as that of all is named. */
  readonly plural: string
  /** `load balancer`: in sentences. */
  readonly words: string
  readonly path: string
  readonly idPrefix: string
  readonly isOfProject: boolean
  readonly description: string
  /** All that is shown of one, besides id, name and project. */
  readonly fields: Fields
  /** What a list can be narrowed by, besides name, status and project: the API's own filters. */
  readonly filters?: Readonly<Record<string, Attribute>>
}

export interface NounToRead<View extends NounView> extends NounWords {
  readonly view: v.GenericSchema<unknown, View>
  /** Left out: as the API shows it. */
  readonly describe?: (view: View) => Readonly<Record<string, unknown>>
}

export const createNounDataSources = <View extends NounView>(noun: NounToRead<View>) => [
  createSingle(noun),
  createList(noun),
]

function createSingle<View extends NounView>(noun: NounToRead<View>) {
  const { words, path, view: schema, describe = asShown } = noun
  return defineDataSource({
    name: noun.name,
    schema: defineSchema({
      description: `${noun.description} Found by its id, or by its name${noun.isOfProject ? ', within a project where several have one of that name' : ''}.`,
      attributes: {
        ...asComputed(noun.fields),
        ...keyFields(noun),
      } as Fields,
      rules: [atLeastOneOf('id', 'name'), atMostOneOf('id', 'name')],
    }),
    async read({ config }, context) {
      const wanted = config as Readonly<Record<string, string | null>>
      if (typeof wanted.id === 'string') {
        const found = await findObject(`${path}/${wanted.id}`, schema, context)
        if (found !== null) return describe(found)
        throw new ProviderError([
          errorDiagnostic(`There is no such ${words}`, {
            detail: `No ${words} has the id ${wanted.id}, or this token may not see it.`,
            path: ['id'],
          }),
        ])
      }
      const query = { name: wanted.name ?? undefined, projectId: wanted.projectId ?? undefined }
      const found = await context.client.api.listAll(path, schema, query, context.signal)
      return describe(takeOnly(noun, wanted.name ?? '', found))
    },
  })
}

function takeOnly<View extends NounView>(
  { words, isOfProject }: NounWords,
  name: string,
  found: readonly View[],
): View {
  const [first, second] = found.filter((view) => view.name === name)
  if (first === undefined) {
    throw new ProviderError(`There is no such ${words}`, {
      detail: `No ${words} that this token may see has the name ${JSON.stringify(name)}.`,
      path: ['name'],
    })
  }
  if (second === undefined) return first
  throw new ProviderError(`Several have this name`, {
    detail: `${first.id} and ${second.id} have the name ${JSON.stringify(name)}: give ${isOfProject ? 'the project_id, or the id' : 'the id'} of the one that is meant.`,
    path: ['name'],
  })
}

function keyFields({ words, idPrefix, isOfProject }: NounWords): Fields {
  return {
    id: string({
      optional: true,
      computed: true,
      validators: [anId(idPrefix)],
      description: `The id of the ${words}. Give this or the name.`,
    }),
    name: string({ optional: true, computed: true, description: `The name of the ${words}. Give this or the id.` }),
    ...(isOfProject && {
      projectId: string({
        optional: true,
        computed: true,
        nullable: true,
        validators: [anId('prj')],
        description: 'The project that it belongs to; together with the name, where several projects have that.',
      }),
    }),
  }
}

function createList<View extends NounView>(noun: NounToRead<View>) {
  const { words, path, view: schema, describe = asShown } = noun
  const shown = asComputed({ ...noun.fields, ...keyFields(noun) })
  return defineDataSource({
    name: noun.plural,
    schema: defineSchema({
      description: `All ${words}s that the token may see and that fit every filter that is given.`,
      attributes: {
        ...filterFields(noun),
        items: list(object(shown), { computed: true, description: `The ${words}s, in the order of their ids.` }),
        ids: list(string(), { computed: true, description: 'Their ids, in the same order.' }),
      } as Fields,
    }),
    async read({ config }, { client, signal }) {
      const filters = Object.keys(filterFields(noun))
      const given = config as Readonly<Record<string, string | null>>
      const query = Object.fromEntries(filters.map((filter) => [filter, given[filter] ?? undefined]))
      const items = await client.api.listAll(path, schema, query, signal)
      return { ...config, items: items.map(describe), ids: items.map(({ id }) => id) }
    },
  })
}

function filterFields({ words, isOfProject, filters = {} }: NounWords): Fields {
  return {
    name: string({ optional: true, description: `Only ${words}s of this name.` }),
    status: string({ optional: true, description: `Only ${words}s of this status.` }),
    ...(isOfProject && {
      projectId: string({
        optional: true,
        validators: [anId('prj')],
        description: `Only ${words}s of this project.`,
      }),
    }),
    ...filters,
  }
}

const asShown = (view: object): Readonly<Record<string, unknown>> => ({ ...view })
