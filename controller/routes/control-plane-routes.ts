/** Who carries the control plane, how its store lies on the NATS servers, and its backup: for admins. */

import * as v from 'valibot'
import { backupMediaType, restoreAnswerSchema, restoreBeginSchema, restoreMessagesSchema } from '../contract/backup.ts'
import { controllerSchema, storeStatusSchema } from '../contract/control-plane.ts'
import { succeed } from '../contract/problem.ts'
import type { ControlPlaneService } from '../presence/control-plane-service.ts'
import { commonProblems } from './parameters.ts'
import { type Answer, defineRoute, type Route } from './route.ts'

/** A message alone may be larger than a body of any other route, as escapes lengthen it. */
const restoreBytesMaximum = 16 * 1024 * 1024
const common = { access: 'admin', problems: [...commonProblems, 'forbidden'] } as const
const changeProblems = [...commonProblems, 'forbidden', 'malformed', 'payload-too-large', 'conflict'] as const

export function createControlPlaneRoutes(service: ControlPlaneService): readonly Route[] {
  return [
    defineRoute(
      {
        ...common,
        method: 'GET',
        path: '/v1/controllers',
        operationId: 'listControllers',
        tag: 'controller',
        summary: 'List the controllers, with what each leads',
        answers: [
          {
            status: 200,
            description: 'Those that are there, and those that have been',
            schema: v.object({ items: v.array(controllerSchema), next: v.null() }),
          },
        ],
      },
      async () => succeed({ status: 200, body: { items: service.listControllers(), next: null } }),
    ),
    defineRoute(
      {
        ...common,
        method: 'GET',
        path: '/v1/store',
        operationId: 'showStore',
        tag: 'store',
        summary: 'Show the NATS servers, and how the store lies on them',
        answers: [{ status: 200, description: 'Servers, and streams with their leaders', schema: storeStatusSchema }],
      },
      async () => succeed({ status: 200, body: await service.showStore() }),
    ),
    ...createBackupRoutes(service),
  ]
}

const createBackupRoutes = (service: ControlPlaneService): readonly Route[] => [
  defineRoute(
    {
      ...common,
      method: 'GET',
      path: '/v1/store/backup',
      operationId: 'backUpStore',
      tag: 'store',
      summary: 'Save all that the store holds',
      description: 'Lines of JSON; the last one is `end`, without which the backup is not whole.',
      answers: [{ status: 200, description: 'The backup', mediaType: backupMediaType }],
    },
    async ({ signal }) => succeed<Answer>({ status: 200, stream: streamLines(service, signal) }),
  ),
  defineRoute(
    {
      ...common,
      method: 'POST',
      path: '/v1/store/restore',
      operationId: 'beginRestore',
      tag: 'store',
      summary: 'Ask whether a backup can be restored here',
      description: 'A store that holds a project or a host is refused, unless forced.',
      body: restoreBeginSchema,
      answers: [{ status: 200, description: 'It can', schema: restoreAnswerSchema }],
      problems: changeProblems,
    },
    async ({ body }) => {
      const begun = await service.beginRestore(body)
      return begun.ok ? succeed({ status: 200, body: begun.value }) : begun
    },
  ),
  defineRoute(
    {
      ...common,
      method: 'POST',
      path: '/v1/store/restore/messages',
      operationId: 'restoreMessages',
      tag: 'store',
      summary: 'Restore the next messages of a backup',
      description: 'In the order of the file. What is there in the same or a newer version stays.',
      body: restoreMessagesSchema,
      bodyBytesMaximum: restoreBytesMaximum,
      answers: [{ status: 200, description: 'They are stored', schema: restoreAnswerSchema }],
      problems: changeProblems,
    },
    async ({ body }) => {
      const restored = await service.restore(body.messages)
      return restored.ok ? succeed({ status: 200, body: restored.value }) : restored
    },
  ),
]

/** As fast as the caller reads. A stream that breaks ends without its last line, so nobody takes it for whole. */
function streamLines(service: ControlPlaneService, signal: AbortSignal): Response {
  const ending = new AbortController()
  const lines = service.backup(AbortSignal.any([signal, ending.signal]))[Symbol.asyncIterator]()
  const encoder = new TextEncoder()
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const next = await lines.next()
        if (next.done === true) controller.close()
        else controller.enqueue(encoder.encode(next.value))
      } catch (cause) {
        controller.error(cause)
      }
    },
    cancel: () => ending.abort(),
  })
  return new Response(body, { headers: { 'content-type': backupMediaType } })
}
