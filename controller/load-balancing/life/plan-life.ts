/**
 * What becomes of instances that fail, recover, or whose host is to be emptied: pure, and from the store alone, so that
 * whichever controller plans carries on. Each step is one transaction on the slots as they were seen, so of two that plan
 * at once one is overtaken.
 *
 * A slot has one instance, and for a while its former one. A condemned instance becomes the former of a new one; healthy
 * within the grace period, it has its slot again, and the new one becomes the former, which goes as soon as the VIP is
 * home. So of a healthy old one and its replacement never both stay, and a slot never has more than two.
 */

import type { StoredObject } from '../../control-plane/store.ts'
import type { LoadBalancerValue, SlotValue } from '../../objects.ts'
import type { JudgedHost } from '../../reconcile/judge-hosts.ts'
import type { JudgedInstance } from '../../reconcile/judge-instance.ts'
import { countFreeAddresses, type Snapshot } from '../../reconcile/snapshot.ts'
import { listHostCandidates } from '../host-candidates.ts'
import { type HostCandidate, placeInstances } from '../place-instances.ts'
import { isStaying } from '../scaling/advance-slots.ts'
import { settleTraffic } from '../settle-traffic.ts'
import type { LifeOperation, StoredInstance, StoredSlots } from './life-operation.ts'
import type { LifeSettings } from './life-settings.ts'
import type { FormerInstance } from './life-values.ts'

export interface LifeTurn {
  readonly snapshot: Snapshot
  /** By host id. */
  readonly hosts: ReadonlyMap<string, JudgedHost>
  /** By instance id. */
  readonly judged: ReadonlyMap<string, JudgedInstance>
  readonly life: LifeSettings
  /** The breaker is open: nothing that failed is replaced, and nobody's time runs out. */
  readonly isHeldBack: boolean
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** So many may come up on a host at a time before it is given a successor: those that serve there must not suffer for it. */
const risingMaximum = 8
/** One that takes longer has a trouble of its own, and holds nobody up. */
const risingSeconds = 30

/** A former one must be well for so long before it is trusted with its slot again. */
const steadySeconds = 3

export function planLife(turn: LifeTurn): readonly LifeOperation[] {
  const choose = createChooser(turn)
  return [...turn.snapshot.loadBalancers.values()].flatMap((loadBalancer) => {
    const slots = turn.snapshot.slots.get(loadBalancer.id)
    if (loadBalancer.value.deletingSince !== undefined || slots === undefined) return []
    // The slots are one object: one step at a time.
    for (const slot of slots.value.slots) {
      // What is on its way out is not worth another.
      if (!isStaying(slot)) continue
      const step = planSlot({ turn, loadBalancer, slots, slot, choose })
      if (step !== null) return [step]
    }
    return []
  })
}

/** Something happens by itself as time goes on: such a rack is not at rest. */
export const isLifeWaiting = ({ snapshot }: Pick<LifeTurn, 'snapshot'>): boolean =>
  [...snapshot.slots.values()].some(({ value }) => value.slots.some(({ former }) => former !== undefined)) ||
  [...snapshot.instanceStatuses.values()].some(({ value }) => value.conditions.some(({ type }) => type === 'suspected'))

interface SlotTurn {
  readonly turn: LifeTurn
  readonly loadBalancer: StoredObject<LoadBalancerValue>
  readonly slots: StoredSlots
  readonly slot: SlotValue
  readonly choose: Chooser
}

function planSlot(at: SlotTurn): LifeOperation | null {
  const { snapshot, judged } = at.turn
  const current = snapshot.instances.get(at.slot.instanceId ?? '')
  const verdict = judged.get(at.slot.instanceId ?? '')
  // One that is not there is put there by the plan of instances.
  if (current === undefined || verdict === undefined) return null
  const { former } = at.slot
  if (former === undefined) return planAlone(at, current, verdict)
  const formerInstance = snapshot.instances.get(former.instanceId)
  const formerVerdict = judged.get(former.instanceId)
  const isGone = formerInstance === undefined || formerVerdict === undefined
  if (isGone || !snapshot.hosts.has(formerInstance.value.hostId)) {
    return drop(at, formerInstance ?? null, 'Its host is gone.')
  }
  const pair: Pair = { current, verdict, former, formerInstance, formerVerdict }
  return former.why === 'suspected' ? planSuspected(at, pair) : planHandover(at, pair)
}

interface Pair {
  readonly current: StoredInstance
  readonly verdict: JudgedInstance
  readonly former: FormerInstance
  readonly formerInstance: StoredInstance
  readonly formerVerdict: JudgedInstance
}

function planAlone(at: SlotTurn, current: StoredInstance, verdict: JudgedInstance): LifeOperation | null {
  const { turn } = at
  if (verdict.suspicion?.isCondemned === true) {
    if (turn.isHeldBack) return null
    return succeed(at, current, { instanceId: current.id, why: 'suspected', since: timeOf(turn) }, null)
  }
  const host = turn.snapshot.hosts.get(current.value.hostId)
  if (host?.value.maintenance !== true || isHandingOver(at)) return null
  // What does not serve is left to those who repair it, or to the judgement above.
  if (!verdict.serving) return null
  return succeed(at, current, { instanceId: current.id, why: 'maintenance', since: timeOf(turn) }, null)
}

/** One slot of a balancer after the other, so that the others serve meanwhile. */
const isHandingOver = ({ slots }: SlotTurn) => slots.value.slots.some(({ former }) => former !== undefined)

function planSuspected(at: SlotTurn, pair: Pair): LifeOperation | null {
  const { turn } = at
  const { current, verdict, former, formerInstance } = pair
  if (isWell(at, pair) && !isInMaintenance(turn, formerInstance)) {
    return reinstate(at, pair, 'recovered', 'It is healthy again.')
  }
  if (turn.isHeldBack) return null
  if (verdict.suspicion?.isCondemned === true) return succeed(at, current, former, current)
  const isOver = turn.now - Date.parse(former.since) >= turn.life.graceSeconds * 1000
  if (!isOver || verdict.status.status !== 'active') return null
  return drop(at, formerInstance, `It did not come back within ${turn.life.graceSeconds} s.`)
}

/** The former one has the VIP until it has lost its clients; it goes once the other has it. */
function planHandover(at: SlotTurn, pair: Pair): LifeOperation | null {
  const { verdict, former, formerInstance, formerVerdict } = pair
  if (verdict.suspicion?.isCondemned === true) {
    const canGoOn = formerVerdict.serving && formerVerdict.report !== undefined
    if (canGoOn) return reinstate(at, pair, 'suspected', verdict.suspicion.conditions[0]?.message ?? 'It failed.')
    if (!at.turn.isHeldBack) return succeed(at, pair.current, pair.former, pair.current)
    return null
  }
  if (!verdict.current) return null
  if (formerVerdict.serving && formerInstance.value.draining !== true) return drain(at, formerInstance)
  const drainSeconds = settleTraffic(at.loadBalancer.value).timeouts.drainSeconds + drainGraceSeconds
  const isTimeOver = at.turn.now - Date.parse(former.since) >= drainSeconds * 1000
  // Its last word tells whom it cut off.
  const isOver = verdict.status.status === 'active' && !isDraining(formerVerdict, formerInstance)
  if (!isOver && !isTimeOver) return null
  return drop(at, formerInstance, 'It has handed its slot over.')
}

/** It has been told to drain, is heard, and has not said yet that it has. */
const isDraining = ({ report }: JudgedInstance, { value }: StoredInstance) =>
  value.draining === true && report !== undefined && report.drained !== true

/** From when a handover begins, for the other one to come up and for a former one that does not say that it has drained. */
const drainGraceSeconds = 10

const drain = ({ slots, slot }: SlotTurn, instance: StoredInstance): LifeOperation => ({
  kind: 'drainInstance',
  slots,
  slot: slot.slot,
  instance,
})

/** It serves what is wanted, says so steadily, and others reach it: its own word alone would be that of a host cut off. */
function isWell({ turn }: SlotTurn, { formerVerdict }: Pair): boolean {
  const ready = formerVerdict.status.conditions.find(({ type }) => type === 'ready')
  if (!formerVerdict.current || !formerVerdict.reached || ready?.status !== 'true') return false
  return turn.now - Date.parse(ready.changedAt) >= steadySeconds * 1000
}

const isInMaintenance = ({ snapshot }: LifeTurn, { value }: StoredInstance) =>
  snapshot.hosts.get(value.hostId)?.value.maintenance === true

function succeed(
  at: SlotTurn,
  predecessor: StoredInstance,
  former: FormerInstance,
  retired: StoredInstance | null,
): LifeOperation | null {
  const { turn, loadBalancer, slots, slot } = at
  const host = at.choose(at, predecessor.value.hostId)
  if (host === undefined) return null
  const reason =
    former.why === 'maintenance' && retired === null
      ? 'Its host is in maintenance.'
      : (turn.judged.get(predecessor.id)?.suspicion?.conditions[0]?.message ?? 'It failed.')
  return {
    kind: 'succeedInstance',
    loadBalancer,
    slots,
    slot: slot.slot,
    hostId: host.id,
    former,
    retired,
    predecessor,
    reason,
  }
}

const reinstate = (
  { turn, slots, slot }: SlotTurn,
  { current, formerInstance }: Pair,
  why: FormerInstance['why'],
  reason: string,
): LifeOperation => ({
  kind: 'reinstateInstance',
  slots,
  slot: slot.slot,
  reinstated: formerInstance,
  former: { instanceId: current.id, why, since: timeOf(turn) },
  reason,
})

const drop = ({ turn, slots, slot }: SlotTurn, former: StoredInstance | null, reason: string): LifeOperation => ({
  kind: 'dropFormer',
  slots,
  slot: slot.slot,
  former,
  deletingSince: timeOf(turn),
  reason,
  connectionsCut: turn.judged.get(former?.id ?? '')?.report?.connectionsCut ?? 0,
})

const timeOf = ({ now }: LifeTurn) => new Date(now).toISOString()

/** A host for the successor of one on that host; undefined: there is none, or no address for it. */
type Chooser = (at: SlotTurn, hostId: string) => HostCandidate | undefined

const isRising = (verdict: JudgedInstance | undefined) => risingStatuses.has(verdict?.status.status ?? 'placing')

const risingStatuses: ReadonlySet<JudgedInstance['status']['status']> = new Set([
  'placing',
  'provisioning',
  'configuring',
  'registering',
])

/** Those chosen in one turn count as load for the next. */
function createChooser({ snapshot, hosts, judged, now }: LifeTurn): Chooser {
  const placed = new Map<string, number>()
  const addresses = new Map<string, number>()
  let candidates: readonly HostCandidate[] | null = null
  const list = () => {
    const severed = new Set(
      [...snapshot.instances.values()].flatMap(({ id, value }) => {
        const suspicion = judged.get(id)?.suspicion
        return suspicion?.isCondemned === true && suspicion.cause !== 'ownWord' ? [value.hostId] : []
      }),
    )
    return listHostCandidates({
      hosts: snapshot.hosts.values(),
      hostStatuses: snapshot.hostStatuses.values(),
      instances: snapshot.instances.values(),
      machines: snapshot.machines.values(),
    }).filter(({ id }) => hosts.get(id)?.hearing.kind === 'heard' && !severed.has(id))
  }
  const rising = new Map<string, number>()
  for (const { id, value, createdAt } of snapshot.instances.values()) {
    if (!isRising(judged.get(id)) || now - Date.parse(createdAt) >= risingSeconds * 1000) continue
    rising.set(value.hostId, (rising.get(value.hostId) ?? 0) + 1)
  }
  const isFree = ({ id }: HostCandidate) => (rising.get(id) ?? 0) + (placed.get(id) ?? 0) < risingMaximum
  return ({ loadBalancer, slots }, hostId) => {
    candidates ??= list()
    const { networkId } = loadBalancer.value
    const free = addresses.get(networkId) ?? countFreeAddresses(snapshot, networkId)
    if (free <= 0) return undefined
    const occupied = slots.value.slots.flatMap(({ instanceId, former }) =>
      [instanceId, former?.instanceId].flatMap((id) => snapshot.instances.get(id ?? '')?.value.hostId ?? []),
    )
    const [host] = placeInstances({
      count: 1,
      hosts: candidates
        .filter((one) => one.id !== hostId && isFree(one))
        .map((one) => ({ ...one, instances: one.instances + (placed.get(one.id) ?? 0) })),
      occupied,
    })
    if (host === undefined) return undefined
    placed.set(host.id, (placed.get(host.id) ?? 0) + 1)
    addresses.set(networkId, free - 1)
    return host
  }
}
