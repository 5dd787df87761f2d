/** The table of action types is complete, and right. */

import { expect, test } from 'bun:test'
import { createTestWorld } from '../../test/api/api-world.ts'
import { actionTypeOf, actionTypes, readingOperations } from './action-types.ts'

interface Operation {
  readonly operationId: string
  readonly responses: Readonly<Record<string, unknown>>
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

/** They decide about what is in the table, or change no object of a client: escalations, microshards and their nodes, backups, measures, states, libvirts of hosts. */
const others =
  /^(retry|edit|discard)Escalation$|Microshard|Node$|^(begin|end|abort)?[rR]estore|Anomal|^takePoints$|State$|^breakStackLock$|Hypervisor$|^allowHarm$/

const changes = async () => {
  const { body } = await (await createTestWorld()).call('GET', '/v1/openapi.json')
  const { paths } = body as unknown as Document
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) => (method === 'get' ? [] : [{ path, ...operation }])),
  )
}

test('every route that changes something is an action of a type', async () => {
  const missing = (await changes())
    .map(({ operationId }) => actionTypeOf(operationId))
    .filter((type) => actionTypes[type] === undefined && !readingOperations.includes(type) && !others.test(type))
  expect(missing).toEqual([])
})

test('every type is that of a route, and its parameter is one of the path', async () => {
  const found = await changes()
  for (const [type, { parameter }] of Object.entries(actionTypes)) {
    const route = found.find(({ operationId }) => actionTypeOf(operationId) === type)
    expect([type, route !== undefined]).toEqual([type, true])
    if (parameter !== null) expect(route?.path).toContain(`{${parameter}}`)
  }
})

test('each that may be kept says that it may be answered later, or escalated', async () => {
  for (const { operationId, responses } of await changes()) {
    if (actionTypes[actionTypeOf(operationId)]?.isKept !== true) continue
    expect([operationId, '202' in responses, JSON.stringify(responses['409'])]).toEqual([
      operationId,
      true,
      expect.stringContaining('escalated'),
    ])
  }
})
