/**
 * What the controller has shown within the last seconds, so that a refresh of many objects asks for pages of them and not
 * for each: of a hundred networks a few are asked for by themselves, then all of their project at once. It asks by the API
 * that it is given, and touches nothing else.
 */

import * as v from 'valibot'
import { pageSchema } from '../../controller/contract/common.ts'
import { type Api, listPageItems } from './api.ts'
import { isRefusal } from './api-error.ts'

/** One object of a list of the API. */
export interface Listed {
  /** `/v1/networks` */
  readonly path: string
  readonly id: string
  /** What narrows the list to those that a state is likely to have as well; null: it is read by itself always. */
  readonly among: Readonly<Record<string, string | undefined>> | null
}

export interface Views {
  /** Null: there is no such object. What is older than a few seconds, or than a change, is never answered. */
  read<Schema extends v.GenericSchema>(
    listed: Listed,
    schema: Schema,
    signal: AbortSignal,
  ): Promise<v.InferOutput<Schema> | null>
}

/** As long as a snapshot that a plan is made of may be behind. */
const freshMilliseconds = 5000
/** About as many as take as long as one page: so a list is worth its while also where a state has little of it. */
const singlesPerPage = 20

/** Everything that was shown since a moment: forgotten as a whole. */
interface Shown {
  readonly since: number
  /** By path. */
  readonly views: Map<string, unknown>
  readonly lists: Map<string, List>
}

interface List {
  /** How many were asked for by themselves since the last page. */
  singles: number
  /** Where the next page begins; null: there is none. */
  after: string | undefined | null
  /** A page on its way. It never rejects. */
  coming: Promise<void> | null
}

const itemsSchema = pageSchema(v.looseObject({ id: v.string() }))

/** Also answers with an API by which every change has to go, since it makes what was shown worthless. */
export function createViews(asked: Api, now: () => number): { readonly api: Api; readonly views: Views } {
  let shown = showNothing(now())
  const forget = () => {
    shown = showNothing(now())
  }

  const api: Api = {
    ...asked,
    async call(request, schema, signal) {
      if (request.method === 'GET') return await asked.call(request, schema, signal)
      forget()
      try {
        return await asked.call(request, schema, signal)
      } finally {
        forget()
      }
    },
  }

  function recall<Schema extends v.GenericSchema>(path: string, schema: Schema): v.InferOutput<Schema> | undefined {
    // A clock that was set back says nothing of how old it is.
    const age = now() - shown.since
    if (age > freshMilliseconds || age < 0) forget()
    const view = shown.views.get(path)
    if (view === undefined) return undefined
    const parsed = v.safeParse(schema, view)
    // One that can't be read is asked for by itself, which says what is wrong.
    return parsed.success ? parsed.output : undefined
  }

  async function readAlone<Schema extends v.GenericSchema>(path: string, schema: Schema, signal: AbortSignal) {
    const { views } = shown
    try {
      const { body } = await asked.call({ method: 'GET', path }, schema, signal)
      views.set(path, body)
      return body
    } catch (error) {
      if (isRefusal(error, 'not-found')) return null
      throw error
    }
  }

  return {
    api,
    views: {
      async read({ path, id, among }, schema, signal) {
        const own = `${path}/${id}`
        const early = recall(own, schema)
        if (early !== undefined || among === null) return early ?? (await readAlone(own, schema, signal))
        const list = findList(shown.lists, path, among)
        if (list.coming === null && list.after !== null && list.singles >= singlesPerPage) {
          list.coming = readPage(asked, { path, among, list, views: shown.views }, signal)
        }
        await list.coming
        const found = recall(own, schema)
        if (found !== undefined) return found
        list.singles += 1
        return await readAlone(own, schema, signal)
      },
    },
  }
}

const showNothing = (since: number): Shown => ({ since, views: new Map(), lists: new Map() })

function findList(lists: Shown['lists'], path: string, among: NonNullable<Listed['among']>): List {
  const name = JSON.stringify([path, among])
  const list = lists.get(name) ?? { singles: 0, after: undefined, coming: null }
  lists.set(name, list)
  return list
}

interface Paging {
  readonly path: string
  readonly among: NonNullable<Listed['among']>
  readonly list: List
  readonly views: Shown['views']
}

/** The next page of a list, into `views`. Where it fails, each object is asked for by itself, and says why. */
async function readPage(api: Api, { path, among, list, views }: Paging, signal: AbortSignal): Promise<void> {
  try {
    const query = { ...among, limit: listPageItems, after: list.after ?? undefined }
    const { body } = await api.call({ method: 'GET', path, query }, itemsSchema, signal)
    for (const item of body.items) views.set(`${path}/${item.id}`, item)
    list.after = body.next
  } catch {
    list.after = null
  } finally {
    list.singles = 0
    list.coming = null
  }
}
