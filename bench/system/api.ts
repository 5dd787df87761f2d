/** Speaks the controller's REST API as any program does. */

import * as v from 'valibot'
import { pendingActionSchema } from '../../controller/contract/escalation.ts'
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
const repeatMilliseconds = 200
const repetitionsMaximum = 300

const isPending = ({ status }: Response, text: string) =>
  status === 202 && text !== '' && v.is(pendingActionSchema, JSON.parse(text))

export function createApi(url: string, token: string): Api {
  const send = async (method: string, path: string, body?: unknown, key?: string) =>
    await fetch(`${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        ...(key !== undefined && { 'idempotency-key': key }),
      },
      signal: AbortSignal.timeout(requestTimeoutMilliseconds),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  return {
    async call(schema, method, path, body) {
      const key = method === 'GET' ? undefined : crypto.randomUUID()
      let response = await send(method, path, body, key)
      let text = await response.text()
      // Others keep changing what it takes: the same request, asked again, is answered once it is made.
      for (let i = 0; i < repetitionsMaximum && isPending(response, text); i++) {
        await Bun.sleep(repeatMilliseconds)
        response = await send(method, path, body, key)
        text = await response.text()
      }
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
