/** Requests that the controller makes of itself: at its start, and to finish what was cut off. */

import type { ControllerContext, RequestInfo } from '../services.ts'
import { createSeed } from './object-id.ts'

/** As an admin, in a trace of its own. `actionId` is the same for every attempt at the same thing. */
export function createOwnRequest(context: Pick<ControllerContext, 'now' | 'random'>, actionId: string): RequestInfo {
  const hex = (bytes: number) => Buffer.from(context.random(bytes)).toString('hex')
  return {
    caller: { tokenId: 'controller', scope: 'admin', projectId: null },
    traceparent: `00-${hex(16)}-${hex(8)}-01`,
    actionId,
    seed: createSeed(context.now(), context.random),
  }
}
