/** Speaks the controller's REST API as any program does. */

import * as v from 'valibot'
import { pendingActionSchema } from '../../controller/contract/escalation.ts'
import { problemSchema } from '../../controller/contract/problem.ts'
import { waitUntil } from '../../lab/wait.ts'

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
const settleSeconds = 60
const settlePollMilliseconds = 200
const foundSchema = v.object({ items: v.array(v.unknown()) })
const namedSchema = v.object({ name: v.string(), projectId: v.optional(v.string()) })

const isPending = ({ status }: Response, text: string) =>
  status === 202 && text !== '' && v.is(pendingActionSchema, JSON.parse(text))

export function createApi(url: string, token: string): Api {
  const send = async (method: string, path: string, body?: unknown) =>
    await fetch(`${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
      },
      signal: AbortSignal.timeout(requestTimeoutMilliseconds),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  /** A change that takes long is answered later: waits until it is made, and tells where what it made is found. */
  const settle = async (path: string, body: unknown, id: string): Promise<string> => {
    await waitUntil(
      async () => {
        const shown = await send('GET', `/v1/actions/${id}`)
        const { status, problem } = v.parse(pendingActionSchema, await shown.json())
        if (problem !== null) throw new Error(`${path} was refused: ${problem.detail}`)
        return status === 'done'
      },
      {
        what: () => `${id} to be done`,
        timeoutSeconds: settleSeconds,
        intervalMilliseconds: settlePollMilliseconds,
      },
    )
    const named = v.safeParse(namedSchema, body)
    if (!named.success) return path
    const { name, projectId } = named.output
    return `${path}?${new URLSearchParams({ name, ...(projectId !== undefined && { projectId }) })}`
  }
  return {
    async call(schema, method, path, body) {
      let response = await send(method, path, body)
      let text = await response.text()
      if (isPending(response, text)) {
        response = await send('GET', await settle(path, body, v.parse(pendingActionSchema, JSON.parse(text)).id))
        text = await response.text()
        const found = v.safeParse(foundSchema, JSON.parse(text))
        if (found.success) text = JSON.stringify(found.output.items[0])
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
