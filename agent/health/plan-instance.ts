/** Decides what an instance needs as a whole: its keepalived and its haproxy, and what the one tells the other. Pure. */

import { type DesiredHaproxy, type ObservedHaproxy, planHaproxy } from '../haproxy/plan-haproxy.ts'
import { type DesiredKeepalived, type ObservedKeepalived, planKeepalived } from '../keepalived/plan-keepalived.ts'
import type { Operation, OperationGroup } from '../operations/operation.ts'

export interface DesiredInstance {
  readonly haproxy: DesiredHaproxy
  readonly keepalived: DesiredKeepalived
}

export interface ObservedInstance {
  readonly haproxy: ObservedHaproxy
  readonly keepalived: ObservedKeepalived
  /** It was told to drain, and has no clients any more. */
  readonly hasDrained?: boolean
  /** Of the connections that it had when its time to lose them was over. */
  readonly connectionsCut?: number
}

/**
 * keepalived comes before haproxy, so that a VIP is handed over before anything else is done, and so that a config that
 * haproxy refuses holds nothing up.
 */
export function planInstance(
  desired: DesiredInstance,
  observed: ObservedInstance,
  mayChangeKeepalived = true,
): Operation[] {
  return [
    ...planFault(desired.keepalived, observed),
    ...planKeepalived(desired.keepalived, observed.keepalived, mayChangeKeepalived),
    ...planHaproxy(desired.haproxy, observed.haproxy),
  ]
}

/** What keepalived's track file says: anything but 0 is a fault. */
export const noFault = '0\n'
export const fault = '1\n'

/**
 * At the first start there is no fault, so that the election and haproxy's start go on at the same time: nobody can be
 * served yet. Who takes a VIP over from somebody who serves has one until its haproxy answers. Afterwards a haproxy that
 * does not answer is one.
 */
function planFault({ instance, files }: DesiredKeepalived, { haproxy, hasDrained }: ObservedInstance): Operation[] {
  const path = files.fault
  const observed = haproxy.fault
  // Whoever backs it up takes its VIPs over.
  const wanted =
    hasDrained === true ? fault : wantedFault(haproxy.status, observed, instance.takesOver === true ? fault : noFault)
  return observed === wanted ? [] : [{ kind: 'writeFile', path, content: wanted }]
}

function wantedFault(status: ObservedHaproxy['status'], observed: string | undefined, first: string): string {
  switch (status) {
    case 'answering':
      return noFault
    case 'starting':
      return observed ?? first
    case 'stopped':
      return observed === undefined ? first : fault
    case 'silent':
      return fault
    default:
      return status satisfies never
  }
}

/**
 * Starts and reloads at once: keepalived has realtime priority, and many that read their configs at the same time would
 * hold up each other's advertisements.
 */
export const changesAtOnceMaximum = 8

export interface InstancesPlan {
  /** One group an instance. */
  readonly groups: readonly OperationGroup[]
  /** How many keepaliveds have to wait for another turn. */
  readonly waiting: number
}

/** Those that hold no VIP come first, so that whoever backs up is ready before a master changes. */
export function planInstances(
  instances: readonly { readonly desired: DesiredInstance; readonly observed: ObservedInstance }[],
): InstancesPlan {
  const changing = instances
    .filter(({ desired, observed }) => planKeepalived(desired.keepalived, observed.keepalived).some(isChange))
    .sort((a, b) => a.observed.keepalived.heldVips.length - b.observed.keepalived.heldVips.length)
  const waiting = new Set(changing.slice(changesAtOnceMaximum))
  const groups = instances.map((each) => ({
    objectId: each.desired.haproxy.instance.id,
    operations: planInstance(each.desired, each.observed, !waiting.has(each)),
  }))
  return { groups, waiting: waiting.size }
}

const isChange = ({ kind }: Operation) => kind === 'startDaemon' || kind === 'signalDaemon'
