/** The few calls that the lab itself makes to its controller: adding hosts, and whether they report. */

import * as v from 'valibot'
import { hostCreatedSchema, hostSchema } from '../controller/contract/machine.ts'
import { loopbackUrl } from './settings.ts'

const requestTimeoutMilliseconds = 10_000

/** Declares the host and answers with its join token. */
export async function addHost(adminToken: string, name: string, url: string = loopbackUrl): Promise<string> {
  const answer = await call({ adminToken, url }, 'POST', '/v1/hosts', { name })
  return v.parse(v.pick(hostCreatedSchema, ['joinToken']), answer).joinToken
}

/** The status of every host, by name. */
export async function listHostStatuses(
  adminToken: string,
  url: string = loopbackUrl,
): Promise<ReadonlyMap<string, string>> {
  const statuses = new Map<string, string>()
  const pageSchema = v.object({ items: v.array(v.pick(hostSchema, ['name', 'status'])), next: v.nullable(v.string()) })
  let after: string | null = ''
  while (after !== null) {
    const query: string = after === '' ? '' : `?after=${encodeURIComponent(after)}`
    const page: v.InferOutput<typeof pageSchema> = v.parse(
      pageSchema,
      await call({ adminToken, url }, 'GET', `/v1/hosts${query}`),
    )
    for (const host of page.items) statuses.set(host.name, host.status)
    after = page.next
  }
  return statuses
}

async function call(
  { adminToken, url }: { readonly adminToken: string; readonly url: string },
  method: string,
  path: string,
  body?: unknown,
): Promise<unknown> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    signal: AbortSignal.timeout(requestTimeoutMilliseconds),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${path} was answered ${response.status}: ${text}`)
  return JSON.parse(text)
}
