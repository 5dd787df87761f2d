/**
 * How controllers ask each other to do an action: by request and reply on the bus, under a subject for each controller.
 * Only controllers may speak there. Touches nothing but these subjects.
 */

import { type NatsConnection, NoRespondersError, RequestError, TimeoutError } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import type { OwnerBus, OwnerReply, OwnerRequest } from './owner-routing.ts'

export interface OwnerBusOptions<Answer> {
  readonly connection: NatsConnection
  /** This controller's id, as leases have it. */
  readonly holder: string
  readonly logger: Pick<Logger, 'warn'>
  /** What of an answer goes over the bus: plain data. */
  readonly encode: (answer: Answer) => unknown
  readonly decode: (answer: unknown) => Answer
}

/** An id may be a host's name, with dots that a subject would be cut at. */
const subjectOf = (holder: string) => `sluice.owner.${Buffer.from(holder).toString('base64url')}`

export function createOwnerBus<Answer>(options: OwnerBusOptions<Answer>): OwnerBus<Answer> {
  const { connection, holder, logger, encode, decode } = options

  const encodeReply = (reply: OwnerReply<Answer>) =>
    reply.kind === 'answered' && reply.outcome.ok
      ? { kind: 'answered', outcome: { ok: true, value: encode(reply.outcome.value) } }
      : reply

  const decodeReply = (text: string): OwnerReply<Answer> => {
    const reply = JSON.parse(text) as OwnerReply<unknown>
    if (reply.kind === 'notHeld') return reply
    const { outcome } = reply
    return { kind: 'answered', outcome: outcome.ok ? { ok: true, value: decode(outcome.value) } : outcome }
  }

  return {
    async ask(other, request, milliseconds) {
      try {
        const message = await connection.request(subjectOf(other), JSON.stringify(request), { timeout: milliseconds })
        // An empty reply: it failed there, and may have been done.
        return message.data.length === 0 ? { kind: 'unanswered' } : decodeReply(message.string())
      } catch (cause) {
        const isUnheard =
          cause instanceof NoRespondersError || (cause instanceof RequestError && cause.isNoResponders())
        if (isUnheard) return { kind: 'unheard' }
        if (!(cause instanceof TimeoutError)) logger.warn({ err: cause }, 'the owner of a microshard was not reached')
        return { kind: 'unanswered' }
      }
    },

    serve(answer) {
      const subscription = connection.subscribe(subjectOf(holder), {
        callback: (trouble, message) => {
          if (trouble !== null) return
          const asked = JSON.parse(message.string()) as OwnerRequest
          answer(asked)
            .then((reply) => message.respond(JSON.stringify(encodeReply(reply))))
            .catch((cause: unknown) => {
              logger.warn({ err: cause, action: asked.action.actionType }, 'an action for another controller failed')
              message.respond('')
            })
        },
      })
      return {
        async close() {
          if (!connection.isClosed()) await subscription.drain()
        },
      }
    },
  }
}
