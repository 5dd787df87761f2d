/**
 * Where the programs that this controller runs keep the states of hosts: the HTTP backend on the loopback, with a password
 * that is new at each start and known to nobody else. Opens one port.
 */

import * as v from 'valibot'
import { createOwnRequest } from '../../access/own-request.ts'
import type { Outcome } from '../../contract/problem.ts'
import { problemCodes } from '../../contract/problem.ts'
import { lockInfoSchema } from '../../contract/stack.ts'
import type { ControllerContext } from '../../services.ts'
import type { StackPlace } from '../state/stack-change.ts'
import { type States, stateBytesMaximum } from '../state/states.ts'

export interface StateDoor {
  /** What the program that applies a stack finds in its environment. */
  environmentOf(stack: string): Readonly<Record<string, string>>
  close(): Promise<void>
}

/** Who wrote a state, or took a lock, that came in by this door. */
export const doorKeeper = 'controller'

export function openStateDoor(context: Pick<ControllerContext, 'now' | 'random'>, states: States): StateDoor {
  const password = Buffer.from(context.random(32)).toString('hex')
  const authorization = `Basic ${Buffer.from(`${doorKeeper}:${password}`).toString('base64')}`
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    maxRequestBodySize: stateBytesMaximum,
    async fetch(request) {
      if (request.headers.get('authorization') !== authorization) return new Response(null, { status: 401 })
      const url = new URL(request.url)
      const place: StackPlace = { projectId: null, name: url.pathname.slice(1) }
      return answer(place, request, url.searchParams.get('ID'))
    },
  })

  async function answer(place: StackPlace, request: Request, lockId: string | null): Promise<Response> {
    const own = createOwnRequest(context, `door ${Buffer.from(context.random(16)).toString('hex')}`)
    switch (request.method) {
      case 'GET': {
        const read = await states.read(place)
        if (!read.ok) return refuse(read)
        return read.value === null ? new Response(null, { status: 404 }) : new Response(read.value)
      }
      case 'POST': {
        const written = { text: await request.text(), lockId, md5: request.headers.get('content-md5') }
        return refuse(await states.write(place, written, own))
      }
      case 'DELETE':
        return refuse(await states.remove(place, lockId, own))
      case 'LOCK':
      case 'UNLOCK': {
        const info = v.safeParse(v.pipe(v.string(), v.parseJson(), lockInfoSchema), await request.text())
        if (!info.success) return new Response(null, { status: 400 })
        return refuse(
          request.method === 'LOCK'
            ? await states.lock(place, info.output, own)
            : await states.unlock(place, info.output.ID, own),
        )
      }
      default:
        return new Response(null, { status: 405 })
    }
  }

  return {
    environmentOf(stack) {
      const address = `http://127.0.0.1:${server.port}/${stack}`
      return {
        ...{ TF_HTTP_ADDRESS: address, TF_HTTP_LOCK_ADDRESS: address, TF_HTTP_UNLOCK_ADDRESS: address },
        ...{ TF_HTTP_USERNAME: doorKeeper, TF_HTTP_PASSWORD: password },
      }
    },
    close: () => server.stop(true),
  }
}

const refuse = (outcome: Outcome<unknown>): Response =>
  outcome.ok
    ? new Response()
    : Response.json(
        { ...outcome.problem.members, code: outcome.problem.code, detail: outcome.problem.detail },
        { status: problemCodes[outcome.problem.code] },
      )
