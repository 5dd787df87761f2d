/** A route: its description for callers, and its handler. Types, and the one function that puts both together. */

import type * as v from 'valibot'
import type { RouteDescription } from '../contract/openapi.ts'
import type { Outcome, Problem } from '../contract/problem.ts'
import type { Kind } from '../control-plane/store.ts'
import type { Basis } from '../prediction/prefetch/read-cache.ts'
import type { RequestInfo } from '../services.ts'

/** A request that has been let in and parsed. */
export interface Call<Query, Body> {
  readonly request: RequestInfo
  readonly parameters: Readonly<Record<string, string>>
  readonly query: Query
  /** The query as it came. */
  readonly givenQuery: Readonly<Record<string, string>>
  readonly body: Body
  /** The body as it came, for a route that takes text. */
  readonly text: string
  readonly headers: Headers
  /** Aborts when the caller has gone. */
  readonly signal: AbortSignal
}

export interface Answer {
  readonly status: 200 | 201 | 202 | 204
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** The version that If-Match may name, and If-None-Match. */
  readonly version?: number
  /** True where the version changes with everything that the answer shows: then If-None-Match may be answered 304. */
  readonly isAllInVersion?: boolean
  /** It is not done yet: whoever asks again is answered anew. */
  readonly isPending?: boolean
  /** Of a read that is not made of memory alone: until when its answer is as good as a new one. */
  readonly basis?: Basis
  /** What `?wait=true` waits for. */
  readonly settles?: Settling
  /** The same, of what is no object of the store. */
  readonly waitForEnd?: (wait: {
    readonly milliseconds: number
    readonly signal: AbortSignal
  }) => Promise<Outcome<Answer>>
  /** In place of a body: a stream, as it is. */
  readonly stream?: Response
}

/** When a change is done: its status answers the generation, or the object is gone. */
export interface Settling {
  readonly kind: Kind<unknown>
  readonly id: string
  readonly until: 'active' | 'gone' | 'ended'
  /** Null: nobody has to do anything for it, so it is active as soon as it is written. */
  readonly statusKind: Kind<{ readonly status: string; readonly observedGeneration: number }> | null
  /** For `ended`, in place of a status: the object itself says whether it is done, and how far it is. */
  readonly judge?: (value: unknown) => { readonly isDone: boolean; readonly detail: string }
  /** Reads the answer again once it is done. */
  readonly answer: () => Promise<Outcome<Answer>>
}

export interface Route extends RouteDescription {
  /** Reads the body itself, whatever the method. */
  readonly takesText?: boolean
  /** Where its body may be larger than others. */
  readonly bodyBytesMaximum?: number
  /** In place of a problem document: the route's own form of a refusal. `request` is the query parameter of that name. */
  readonly describeRefusal?: (problem: Problem, text: string, request: string | null) => unknown
  /** Whether, asked so, it changes nothing and its answers have a basis: they may be kept in memory, and read ahead. */
  readonly isRead?: (query: Readonly<Record<string, string>>) => boolean
  /** Its answer shows a secret once: it is never kept, and a repetition makes another. */
  readonly isSecret?: boolean
  readonly handle: (call: Call<never, never>) => Promise<Outcome<Answer>>
}

type OutputOf<Schema> = Schema extends v.GenericSchema ? v.InferOutput<Schema> : undefined

/** Gives a handler the types of its description's schemas. */
export function defineRoute<const Description extends Omit<Route, 'handle'>>(
  description: Description,
  handle: (
    call: Call<
      OutputOf<Description extends { query: infer Query } ? Query : undefined>,
      OutputOf<Description extends { body: infer Body } ? Body : undefined>
    >,
  ) => Promise<Outcome<Answer>>,
): Route {
  return { ...description, handle: handle as Route['handle'] }
}
