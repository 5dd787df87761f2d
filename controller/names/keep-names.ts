/**
 * One turn over all names: what should be in the zone against what is there, the changes that make it right, and what came
 * of them, recorded. Woken by event and by timer; it takes no input and never fails. What is desired is in the store, so a
 * server that is away loses nothing: it is told when it is back.
 */

import type { Logger } from 'pino'
import { applyTransaction } from '../control-plane/apply-outcome.ts'
import { type Store, type StoredObject, shardKeyOf } from '../control-plane/store.ts'
import {
  hostKind,
  hostStatusKind,
  instanceKind,
  loadBalancerKind,
  loadBalancerSlotsKind,
  projectKind,
} from '../objects.ts'
import { judgeHosts, type Observed } from '../reconcile/judge-hosts.ts'
import { type LabelledName, listDesiredNames, type NamesSnapshot } from './desired-names.ts'
import { applyChange } from './name-change.ts'
import { type LoadBalancerNameValue, loadBalancerNameKind, type NameSettings } from './name-object.ts'
import type { NameServer, Trouble } from './name-server.ts'
import type { ObservedName } from './observed-zone.ts'
import { listOwnTexts } from './ownership.ts'
import { type NameOperation, planNames } from './plan-names.ts'
import { isAsRecorded, type NameFinding, type NameRecord, recordFarewell, recordName } from './record-names.ts'

export interface NamesContext {
  readonly store: Store
  readonly observed: Observed
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly random: (bytes: number) => Uint8Array
  readonly logger: Logger
}

export interface NamesKeeper {
  turn(): Promise<NamesTurn>
}

export interface NamesTurn {
  readonly changes: number
  /** What kept it from being done, if anything. */
  readonly trouble: Trouble | null
  /** When it should turn again if nothing wakes it before. */
  readonly againInMilliseconds: number
}

const changesAtOnceMaximum = 16
const retryMillisecondsLeast = 200
const retryMillisecondsMost = 5000
const writesMaximum = 200

/** A zone as it is believed to be: as it was read, with what was changed since. */
interface KnownZone {
  readonly names: Map<string, ObservedName>
  /** Null: it was changed since it was read. */
  serial: number | null
  readAt: number
}

export function createNamesKeeper(context: NamesContext, server: NameServer, settings: NameSettings): NamesKeeper {
  const { store, logger, now } = context
  const sweepMilliseconds = settings.sweepSeconds * 1000
  let known: KnownZone | null = null
  let trouble: Trouble | null = null
  let failures = 0
  let retryAt = 0

  function fail(found: Trouble): void {
    if (trouble?.reason !== found.reason) logger.warn({ reason: found.reason }, found.message)
    trouble = found
    const most = Math.min(retryMillisecondsMost, retryMillisecondsLeast * 2 ** failures)
    const [chance = 0] = context.random(1)
    retryAt = now() + most * (0.5 + chance / 512)
    failures += 1
  }

  function recover(): void {
    if (trouble !== null) logger.info('the name server does what it is told again')
    trouble = null
    failures = 0
    retryAt = 0
  }

  /** Reads the zone where it is not known, or has not been looked at for long. */
  async function look(): Promise<KnownZone | null> {
    if (known !== null && now() - known.readAt < sweepMilliseconds) return known
    if (known !== null && known.serial !== null) {
      const answer = await server.readSerial()
      if (answer.kind === 'trouble') {
        fail(answer)
        return null
      }
      if (answer.serial === known.serial) {
        known.readAt = now()
        recover()
        return known
      }
    }
    const read = await server.readZone()
    if (read.kind === 'trouble') {
      known = null
      fail(read)
      return null
    }
    recover()
    known = { names: new Map(read.zone.names), serial: read.zone.serial, readAt: now() }
    return known
  }

  /** The balancers whose change was not made. */
  async function apply(zone: KnownZone, operations: readonly NameOperation[]): Promise<ReadonlySet<string>> {
    const undone = new Set<string>()
    const pending = operations.filter((operation) => operation.kind !== 'yield').values()
    const work = async () => {
      for (const { kind, loadBalancerId, change } of pending) {
        // What one was refused for, the others are not asked for as well.
        const outcome = trouble ?? (await server.change(change))
        switch (outcome.kind) {
          case 'changed': {
            zone.serial = null
            const after = applyChange(change)
            if (after === null) zone.names.delete(change.dnsName)
            else zone.names.set(change.dnsName, after)
            const addresses = kind === 'publish' ? change.after.addresses : []
            logger.info({ loadBalancerId, dnsName: change.dnsName, addresses }, kind)
            break
          }
          case 'overtaken':
            // It is not as it was believed to be: the next turn reads it.
            known = null
            undone.add(loadBalancerId)
            break
          case 'trouble':
            if (trouble === null) fail(outcome)
            known = null
            undone.add(loadBalancerId)
            break
          default:
            outcome satisfies never
        }
      }
    }
    await Promise.all(Array.from({ length: changesAtOnceMaximum }, work))
    return undone
  }

  async function keep(): Promise<number> {
    const snapshot = readNames(store)
    const hosts = judgeHosts(readHosts(store), context.observed, now())
    const desired = listDesiredNames(snapshot, hosts, settings.zone)
    const zone = now() < retryAt ? null : await look()
    if (zone === null) {
      await record(queueAll(desired, snapshot))
      return 0
    }
    const operations = planNames(desired, zone, settings)
    const undone = await apply(zone, operations)
    await record(findAll(desired, snapshot, { zone, operations, undone }))
    return operations.length
  }

  function queueAll(desired: readonly LabelledName[], { names }: NamesSnapshot): readonly NameRecord[] {
    return desired.flatMap((name) => {
      const before = names.get(name.loadBalancerId)
      return recordName(name, before, findWithoutServer(name, before), now()) ?? []
    })
  }

  function findWithoutServer(name: LabelledName, before: StoredObject<LoadBalancerNameValue> | undefined): NameFinding {
    if (trouble === null || isAsRecorded(name, before)) return describeRecorded(before?.value)
    return { kind: 'queued', trouble }
  }

  function findAll(
    desired: readonly LabelledName[],
    snapshot: NamesSnapshot,
    { zone, operations, undone }: Applied,
  ): readonly NameRecord[] {
    const taken = new Set(operations.flatMap(({ kind, loadBalancerId }) => (kind === 'yield' ? [loadBalancerId] : [])))
    const wanted = new Set(desired.map(({ loadBalancerId }) => loadBalancerId))
    const isOurs = (dnsName: string) => {
      const there = zone.names.get(dnsName)
      return there !== undefined && listOwnTexts(there, settings.owner).length > 0 ? there : null
    }
    const records = desired.flatMap((name) => {
      const { loadBalancerId, dnsName } = name
      const before = snapshot.names.get(loadBalancerId)
      const there = isOurs(dnsName)
      const find = (): NameFinding => {
        if (taken.has(loadBalancerId)) return { kind: 'taken', dnsName }
        if (undone.has(loadBalancerId)) return findWithoutServer(name, before)
        return there === null ? { kind: 'unlisted' } : { kind: 'listed', dnsName, addresses: there.addresses }
      }
      return recordName(name, before, find(), now()) ?? []
    })
    const farewells = [...snapshot.names.values()].flatMap((before) => {
      const { id, value } = before
      if (wanted.has(id) || (value.dnsName !== null && isOurs(value.dnsName) !== null)) return []
      return recordFarewell(before, !snapshot.loadBalancers.has(id), now()) ?? []
    })
    return [...records, ...farewells]
  }

  async function record(records: readonly NameRecord[]): Promise<void> {
    const groups = Map.groupBy(records, ({ write: { kind, id } }) => shardKeyOf(kind, id))
    for (const group of groups.values()) {
      for (let from = 0; from < group.length; from += writesMaximum) {
        const batch = group.slice(from, from + writesMaximum)
        const writes = batch.map(({ write }) => write)
        const outcome = await applyTransaction(context, { writes, events: batch.flatMap(({ events }) => events) })
        if (outcome.kind === 'failed') logger.warn({ reason: outcome.reason }, 'what names list could not be recorded')
      }
    }
  }

  return {
    async turn() {
      let changes = 0
      try {
        changes = await keep()
      } catch (error) {
        logger.error({ err: error }, 'a turn over the names failed; the next one tries again')
        return { changes, trouble, againInMilliseconds: retryMillisecondsMost }
      }
      const wait = trouble === null ? sweepMilliseconds : Math.max(0, retryAt - now())
      // What was overtaken is looked at again at once.
      return { changes, trouble, againInMilliseconds: known === null && trouble === null ? 0 : wait }
    },
  }
}

interface Applied {
  readonly zone: KnownZone
  readonly operations: readonly NameOperation[]
  readonly undone: ReadonlySet<string>
}

const describeRecorded = (before: LoadBalancerNameValue | undefined): NameFinding =>
  before === undefined || before.dnsName === null
    ? { kind: 'unlisted' }
    : { kind: 'listed', dnsName: before.dnsName, addresses: before.addresses }

/** What names follow from; a change of anything else wakes nobody. */
export const kindsOfNames: ReadonlySet<string> = new Set(
  [projectKind, loadBalancerKind, loadBalancerSlotsKind, instanceKind, hostKind, hostStatusKind].map(
    ({ name }) => name,
  ),
)

const readNames = (store: Pick<Store, 'snapshot'>): NamesSnapshot => ({
  projects: byId(store.snapshot(projectKind)),
  loadBalancers: byId(store.snapshot(loadBalancerKind)),
  slots: byId(store.snapshot(loadBalancerSlotsKind)),
  instances: byId(store.snapshot(instanceKind)),
  names: byId(store.snapshot(loadBalancerNameKind)),
})

const readHosts = (store: Pick<Store, 'snapshot'>) => ({
  hosts: byId(store.snapshot(hostKind)),
  hostStatuses: byId(store.snapshot(hostStatusKind)),
})

const byId = <Value>(objects: readonly StoredObject<Value>[]) => new Map(objects.map((object) => [object.id, object]))
