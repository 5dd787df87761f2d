/** What joining and leaving need of the bus: signing agents in, and throwing them out. */

import { refuseUnavailable } from '../access/problems.ts'
import { type Outcome, succeed } from '../contract/problem.ts'
import { retryAfterSeconds } from '../control-plane/store.ts'
import type { Bus } from '../nats/bus.ts'
import type { ControllerContext } from '../services.ts'

export type HostBus = Pick<Bus, 'issueAgentJwt' | 'revokeUser' | 'natsServers' | 'caCertificate' | 'caFingerprint'>

/**
 * Throws an agent out, before the store forgets its key: cut off in between, the repetition does it again, and at no time
 * is there a key that works and that nobody knows. Null: it never joined.
 */
export async function throwOut(
  context: Pick<ControllerContext, 'logger'>,
  bus: HostBus,
  publicKey: string | null,
): Promise<Outcome<true>> {
  try {
    if (publicKey !== null) await bus.revokeUser(publicKey)
    return succeed(true)
  } catch (error) {
    context.logger.error({ err: error, publicKey }, 'the bus did not throw an agent out')
    return refuseUnavailable('the bus did not answer', retryAfterSeconds)
  }
}
