/**
 * Join tokens: made for one host, used once, within their lifetime. Only the hash of the secret is kept, which is also the
 * key of the proof that an agent gives, so that the secret itself never travels. See agent/contract/enrolment.ts.
 */

import { createHmac, timingSafeEqual } from 'node:crypto'
import type { JoinRequest } from '../../agent/contract/enrolment.ts'
import { createObjectId } from '../access/object-id.ts'
import { refuseContended, refuseUnavailable } from '../access/problems.ts'
import type { HostCreated } from '../contract/machine.ts'
import { type Outcome, succeed } from '../contract/problem.ts'
import { type StoredObject, write } from '../control-plane/store.ts'
import { type HostValue, type JoinTokenValue, joinTokenKind, systemClient } from '../objects.ts'
import type { ControllerContext, RequestInfo } from '../services.ts'

const secretBytes = 24

/** Makes a new one, and takes back those that the host has not used. */
export async function issueJoinToken(
  context: ControllerContext,
  host: StoredObject<HostValue>,
  options: { readonly joinTokenLifetimeSeconds: number; readonly caFingerprint: string },
  request: RequestInfo,
): Promise<Outcome<Pick<HostCreated, 'joinToken' | 'joinTokenExpiresAt'>>> {
  const secret = Buffer.from(context.random(secretBytes)).toString('hex')
  const expiresAt = new Date(context.now() + options.joinTokenLifetimeSeconds * 1000).toISOString()
  const id = createObjectId(joinTokenKind, systemClient, request.seed, host.value.name)
  const value: JoinTokenValue = { hostId: host.id, host: host.value.name, secretHash: hashSecret(secret), expiresAt }
  const unused = context.store
    .snapshot(joinTokenKind)
    .filter((token) => token.value.hostId === host.id && token.id !== id)
    .map((token) => write({ kind: joinTokenKind, id: token.id, expect: token.version, value: null }))
  // A repetition, whose first answer was lost, gives the same token a new secret: the old one is kept nowhere.
  const before = await context.store.get(joinTokenKind, id)
  const outcome = await context.store.transact({
    writes: [...unused, write({ kind: joinTokenKind, id, expect: before?.version ?? 'absent', value })],
    traceparent: request.traceparent,
  })
  switch (outcome.outcome) {
    case 'committed':
      return succeed({
        joinToken: ['sluice-join', host.value.name, id, secret, options.caFingerprint].join('.'),
        joinTokenExpiresAt: expiresAt,
      })
    case 'conflict':
      return refuseContended('host', host.id)
    case 'unavailable':
      return refuseUnavailable(outcome.reason, outcome.retryAfterSeconds)
    default:
      return outcome satisfies never
  }
}

/** Whether whoever joins has the token's secret, and means this very key and address. */
export function isProven(token: JoinTokenValue, input: JoinRequest): boolean {
  const message = `${token.host}\n${input.publicKey}\n${input.underlayAddress}`
  const expected = createHmac('sha256', token.secretHash).update(message).digest()
  return timingSafeEqual(expected, Buffer.from(input.proof, 'hex'))
}

const hashSecret = (secret: string): string => new Bun.CryptoHasher('sha256').update(secret).digest('hex')
