/**
 * What a route is to a caller, and the OpenAPI 3.1 document made of all of them. Pure: the routes themselves are in
 * `controller/routes/`, each with its description beside its handler, so that nothing is served that isn't described.
 */

import { toJsonSchema } from '@valibot/to-json-schema'
import type * as v from 'valibot'
import { type ProblemCode, problemCodes, problemSchema } from './problem.ts'

export type Schema = v.GenericSchema

export interface RouteAnswer {
  readonly status: 200 | 201 | 202 | 204 | 304
  readonly description: string
  readonly schema?: Schema
  /** Left out: `application/json`. */
  readonly mediaType?: string
}

export interface RouteDescription {
  /** `LOCK` and `UNLOCK` are WebDAV's: Terraform locks a state by them. */
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'LOCK' | 'UNLOCK'
  /** With its parameters in braces: `/v1/networks/{id}`. */
  readonly path: string
  /** Unique: what a generated client calls it. */
  readonly operationId: string
  readonly tag: string
  readonly summary: string
  readonly description?: string
  /** `open`: without a token; `admin`: with an admin's only. */
  readonly access: 'open' | 'bearer' | 'admin'
  readonly parameters?: Readonly<Record<string, Schema>>
  readonly query?: v.GenericSchema & { readonly entries: Readonly<Record<string, Schema>> }
  readonly body?: Schema
  /** What the body is, where the route reads it as text. */
  readonly textSchema?: Schema
  readonly answers: readonly RouteAnswer[]
  readonly problems: readonly ProblemCode[]
  readonly takesIfMatch?: boolean
  readonly takesIdempotencyKey?: boolean
}

type Json = Readonly<Record<string, unknown>>

/** @example describeApi(routes, { version: '0.1.0', url: 'http://127.0.0.1:7480' }) */
export function describeApi(
  routes: readonly RouteDescription[],
  controller: { readonly version: string; readonly url: string },
): Json {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    const path = paths[route.path] ?? {}
    paths[route.path] = path
    path[operationKey(route)] = describeOperation(route)
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Sluice',
      version: controller.version,
      description: 'Load balancers as a service, and private networks made of shards, for a rack of plain Linux hosts.',
    },
    servers: [{ url: controller.url }],
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: "A token, `slt_…`: an admin's or a project's" },
      },
      schemas: { Problem: describeSchema(problemSchema, 'output') },
      responses: Object.fromEntries(
        Object.entries(problemCodes).map(([code, status]) => [code, describeProblem(code, status)]),
      ),
    },
  }
}

/** OpenAPI 3.1 has no place for other methods than its own: these stand beside them, as extensions. */
const operationKey = ({ method }: RouteDescription): string =>
  method === 'LOCK' || method === 'UNLOCK' ? `x-${method.toLowerCase()}` : method.toLowerCase()

function describeOperation(route: RouteDescription): Json {
  const body = route.body ?? route.textSchema
  return {
    operationId: route.operationId,
    tags: [route.tag],
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    security: route.access === 'open' ? [] : [{ bearer: [] }],
    parameters: describeParameters(route),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: { 'application/json': { schema: describeSchema(body, 'input') } },
          },
        }),
    responses: { ...describeAnswers(route.answers), ...describeProblems(route.problems) },
  }
}

function describeParameters(route: RouteDescription): readonly Json[] {
  const names = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '')
  const inPath = names.map((name) => {
    const schema = route.parameters?.[name]
    return {
      name,
      in: 'path',
      required: true,
      schema: schema === undefined ? { type: 'string' } : describeSchema(schema, 'input'),
    }
  })
  const inQuery = Object.entries(route.query?.entries ?? {}).map(([name, schema]) => ({
    name,
    in: 'query',
    required: schema.type !== 'optional',
    schema: describeSchema(schema, 'input'),
  }))
  return [...inPath, ...inQuery, ...describeHeaders(route)]
}

function describeHeaders(route: RouteDescription): readonly Json[] {
  const header = (name: string, description: string) => ({
    name,
    in: 'header',
    required: false,
    description,
    schema: { type: 'string' },
  })
  return [
    header('traceparent', 'W3C trace context; one is made when it is left out. It is answered, and in every log line'),
    ...(route.takesIfMatch === true
      ? [
          header(
            'If-Match',
            'Only on this version: an ETag, as `"3"`. Without it the change is decided on what is there',
          ),
        ]
      : []),
    ...(route.takesIdempotencyKey === true
      ? [header('Idempotency-Key', 'The same for every repetition of one request; its answer is kept for 24 hours')]
      : []),
  ]
}

function describeAnswers(answers: readonly RouteAnswer[]): Json {
  return Object.fromEntries(
    answers.map(({ status, description, schema, mediaType = 'application/json' }) => [
      String(status),
      {
        description,
        ...(schema === undefined ? {} : { content: { [mediaType]: { schema: describeSchema(schema, 'output') } } }),
      },
    ]),
  )
}

/** Several problems may share one status: then the answer names all of them. */
function describeProblems(codes: readonly ProblemCode[]): Json {
  const byStatus = Map.groupBy(codes, (code) => problemCodes[code])
  return Object.fromEntries(
    [...byStatus].map(([status, same]) => {
      const [first = 'internal', ...others] = same
      if (others.length === 0) return [String(status), { $ref: `#/components/responses/${first}` }]
      return [String(status), describeProblem(same.join(', '), status)]
    }),
  )
}

const describeProblem = (code: string, status: number): Json => ({
  description: `Refused with the code ${code} (${status}): what was wrong, with what, and what to do`,
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
})

/** Checks over several fields have no words in JSON Schema and are left out; the controller holds to them all the same. */
function describeSchema(schema: Schema, typeMode: 'input' | 'output'): Json {
  const { $schema: _, ...described } = toJsonSchema(schema, {
    typeMode,
    errorMode: 'ignore',
    target: 'draft-2020-12',
  }) as Record<string, unknown>
  return described
}
