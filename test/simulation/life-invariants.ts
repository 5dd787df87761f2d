/** What must hold of the lives of instances, seen against what is really so in the simulated rack. */

import type { Store } from '../../controller/control-plane/store.ts'
import {
  breakerKind,
  hostKind,
  instanceKind,
  loadBalancerKind,
  loadBalancerSlotsKind,
} from '../../controller/objects.ts'
import { isOnUplink, type SimulatedHost } from './simulated-host.ts'
import { askAbout, listOnUplink, type Simulation } from './simulation.ts'

export interface LivesWatch {
  /** Looks at the world as it is now. */
  look(): void
  readonly violations: readonly string[]
}

/** What somebody found may be acted on for so long: reports are late, and controllers die. */
const evidenceMilliseconds = 40_000
/** Within this time, if nothing else goes wrong, a balancer that nobody serves is served again. */
const unservedMillisecondsMaximum = 45_000

export function watchLives(simulation: Simulation): LivesWatch {
  const { store, hosts } = simulation
  const violations: string[] = []
  const evidence = createEvidence(simulation)
  /** By instance: those that were former ones, suspected, at the last look. */
  let formers = new Set<string>()
  const unservedSince = new Map<string, number>()

  function look(): void {
    evidence.note()
    violations.push(...findMisplaced(store))
    const now = new Set(listSuspected(store))
    for (const id of now)
      if (!formers.has(id) && !evidence.isEnough(id)) violations.push(`${id} was replaced on too few words`)
    formers = now
    const canRun = canAnybodyRun(store, hosts)
    for (const { id } of store.snapshot(loadBalancerKind)) {
      const isServed = hosts.some((host) => listOnUplink(host).some(({ loadBalancerId }) => loadBalancerId === id))
      if (isServed || !canRun) {
        unservedSince.delete(id)
        continue
      }
      const since = unservedSince.get(id) ?? simulation.now()
      unservedSince.set(id, since)
      if (simulation.now() - since > unservedMillisecondsMaximum) violations.push(`${id} is served by nobody`)
    }
  }
  return { look, violations }
}

/**
 * Each balancer has at least one instance and no more than it wants, besides those that are former ones; and each that is
 * not on its way out has a place.
 */
function findMisplaced(store: Store): readonly string[] {
  const slots = new Map(store.snapshot(loadBalancerSlotsKind).map(({ id, value }) => [id, value.slots]))
  const instances = store.snapshot(instanceKind).filter(({ value }) => value.deletingSince === undefined)
  return store.snapshot(loadBalancerKind).flatMap(({ id, value }) => {
    const own = slots.get(id) ?? []
    const placed = new Set(own.flatMap(({ instanceId, former }) => [instanceId, former?.instanceId]))
    const present = instances.filter((instance) => instance.value.loadBalancerId === id)
    const formers = own.filter(({ former }) => former !== undefined).length
    return [
      ...(present.length === 0 ? [`${id} has no instance at all`] : []),
      ...(present.length > value.instanceCount + formers ? [`${id} has ${present.length} instances`] : []),
      ...present.filter((one) => !placed.has(one.id)).map((one) => `${one.id} has no place in ${id}`),
    ]
  })
}

const listSuspected = (store: Store): readonly string[] =>
  store
    .snapshot(loadBalancerSlotsKind)
    .flatMap(({ value }) =>
      value.slots.flatMap(({ former }) => (former?.why === 'suspected' ? [former.instanceId] : [])),
    )

/** Once all has come to rest nobody is a former one. */
export function findUnplaced(store: Store): readonly string[] {
  return store
    .snapshot(loadBalancerSlotsKind)
    .flatMap(({ id, value }) =>
      value.slots.flatMap(({ slot, former }) =>
        former === undefined ? [] : [`${id} still has a former one in slot ${slot}: ${JSON.stringify(former)}`],
      ),
    )
}

/** Somewhere to run, enough of the others to judge by, and nobody who holds it back. */
function canAnybodyRun(store: Store, hosts: readonly SimulatedHost[]): boolean {
  const well = hosts.filter((host) => isOnUplink(host) && !host.isCut)
  const isOpen = store.snapshot(breakerKind).some(({ value }) => value.status === 'open')
  return !isOpen && well.length > hosts.length - 2
}

/** Who missed whom, and when; and who said of himself that he does not serve. */
function createEvidence({ store, hosts, now }: Simulation) {
  const missedAt = new Map<string, Map<string, number>>()
  const confessedAt = new Map<string, number>()
  return {
    note() {
      const names = new Map(store.snapshot(hostKind).map(({ id, value }) => [id, value.name]))
      for (const { id, value } of store.snapshot(instanceKind)) {
        if (hosts.some((host) => !host.isCut && host.broken.has(id))) confessedAt.set(id, now())
        const words = missedAt.get(id) ?? new Map<string, number>()
        missedAt.set(id, words)
        for (const host of hosts) {
          const isItsOwn = names.get(value.hostId) === host.name
          if (isItsOwn || !isOnUplink(host)) continue
          const { answers, serves } = askAbout(host, hosts, id)
          if (!answers || serves === false) words.set(host.name, now())
        }
      }
    },
    /** Two others missed it or its haproxy, or its own host said so, not long ago. */
    isEnough(id: string): boolean {
      const isFresh = (at: number | undefined) => at !== undefined && now() - at <= evidenceMilliseconds
      const misses = [...(missedAt.get(id)?.values() ?? [])].filter(isFresh)
      return misses.length >= 2 || isFresh(confessedAt.get(id))
    },
  }
}
