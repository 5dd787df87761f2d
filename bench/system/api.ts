/** Speaks the controller's REST API as any program does. */

import * as v from 'valibot'
import { problemSchema } from '../../controller/contract/problem.ts'

export interface Api {
  /** Rejects with the problem's own words where the answer is not 2xx. */
  call<Schema extends v.GenericSchema>(
    schema: Schema,
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    body?: unknown,
  ): Promise<v.InferOutput<Schema>>
  /** Whether the object is there. */
  exists(path: string): Promise<boolean>
}

const requestTimeoutMilliseconds = 70_000

export function createApi(url: string, token: string): Api {
  const send = async (method: string, path: string, body?: unknown) =>
    await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      signal: AbortSignal.timeout(requestTimeoutMilliseconds),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  return {
    async call(schema, method, path, body) {
      const response = await send(method, path, body)
      const text = await response.text()
      const answer: unknown = text === '' ? undefined : JSON.parse(text)
      if (response.ok) return v.parse(schema, answer)
      const problem = v.safeParse(problemSchema, answer)
      const words = problem.success ? `${problem.output.detail} ${problem.output.remedy ?? ''}` : text
      throw new Error(`${method} ${path} was answered ${response.status}: ${words.trim()}`)
    },
    async exists(path) {
      const response = await send('GET', path)
      await response.arrayBuffer()
      if (response.ok || response.status === 404) return response.ok
      throw new Error(`GET ${path} was answered ${response.status}`)
    },
  }
}
