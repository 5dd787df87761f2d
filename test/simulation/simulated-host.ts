/**
 * A host that speaks instructions and reports as an agent does, with nothing behind it: it has each thing that it was
 * told, after a while, and says so. A dead host keeps what it has; a cut one runs on and is not heard.
 */

import { admitInstructions } from '../../agent/admit-instructions.ts'
import type { HostInstructions, InstanceInstructions } from '../../agent/contract/host-instructions.ts'
import type { AddressReport, HostReport, InstanceReport, ObjectReport } from '../../agent/contract/host-report.ts'
import { type Answer, testify } from '../../controller/test-rack.ts'
import type { Chance } from './random.ts'

export interface SimulatedHost {
  readonly name: string
  /** Hears no instructions and is not heard. */
  isCut: boolean
  /** Has no power: nothing runs, until it has again and goes on from its disk. */
  isDead: boolean
  /** Its uplink is out: it reaches nobody there, and is reached by nobody. */
  isUnplugged: boolean
  /** Hosts, by name, that it does not reach on the uplink, though it reaches others. */
  readonly cannotReach: Set<string>
  /** Instances whose haproxy does not run, whatever its agent does. */
  readonly broken: Set<string>
  /** How likely it is, each time it works at something, that it fails at it for a while; 0 to 1. */
  failureRate: number
  /** What runs there: of each thing what it was told when it last came to it, so that what is new or gone takes a while. */
  applied: HostInstructions | null
  /** Takes in what is published. */
  hear(statement: HostInstructions | null): void
  /** Works at what it was told: some of it, or all. */
  work(chance: Chance): void
  /** Null: it can't be heard. */
  report(
    vipsHeldBy: (instance: InstanceInstructions) => readonly string[],
    at: number,
    ask: (instanceId: string) => Answer,
  ): HostReport | null
}

export const isOnUplink = ({ isDead, isUnplugged }: SimulatedHost) => !isDead && !isUnplugged

interface Told {
  readonly id: string
  readonly generation: number
}

export function createSimulatedHost(name: string): SimulatedHost {
  let admitted: HostInstructions | undefined
  let sequence = 0
  /** What it has not come to: new, changed, or to go. */
  const pending = new Set<string>()
  const failing = new Set<string>()
  /** By holder and address, of those that have several. */
  const connections = new Map<string, number>()

  const isAsTold = (id: string) => !pending.has(id) && !failing.has(id)

  /** As it was told, of what it has come to; as it was, of the rest. */
  function settle<Thing extends Told>(told: readonly Thing[], before: readonly Thing[]): Thing[] {
    const toldIds = new Set(told.map(({ id }) => id))
    const beforeById = new Map(before.map((thing) => [thing.id, thing]))
    const kept = before.filter(({ id }) => !toldIds.has(id) && !isAsTold(id))
    return [...told.flatMap((thing) => (isAsTold(thing.id) ? thing : (beforeById.get(thing.id) ?? []))), ...kept]
  }

  /** The connections of those that have several addresses end, one by one. */
  function workAtConnections(chance: Chance): void {
    for (const { id, addresses } of listHolders(self.applied)) {
      for (const address of addresses) {
        const before = connections.get(`${id} ${address}`) ?? chance.below(3)
        connections.set(`${id} ${address}`, chance.happens(0.4) ? Math.max(0, before - 1) : before)
      }
    }
  }

  const self: SimulatedHost = {
    name,
    isCut: false,
    isDead: false,
    isUnplugged: false,
    cannotReach: new Set(),
    broken: new Set(),
    failureRate: 0,
    applied: null,

    hear(statement) {
      if (self.isCut || self.isDead || statement === null) return
      const next = admitInstructions(admitted, statement)
      if (next === 'older') throw new Error(`${name} was told generation ${statement.generation} after a newer one`)
      if (next.generation === admitted?.generation) return
      const known = new Map(objectsOf(admitted ?? null).map((object) => [object.id, object.generation]))
      for (const { id, generation } of objectsOf(next)) {
        if (known.get(id) !== generation) pending.add(id)
        known.delete(id)
      }
      for (const id of known.keys()) pending.add(id)
      admitted = next
    },

    work(chance) {
      if (admitted === undefined || self.isDead) return
      for (const id of [...pending]) if (chance.happens(0.7)) pending.delete(id)
      for (const id of [...failing]) if (self.failureRate === 0 || chance.happens(0.1)) failing.delete(id)
      if (self.failureRate > 0) {
        for (const { id } of objectsOf(admitted)) if (chance.happens(self.failureRate)) failing.add(id)
      }
      const { applied } = self
      self.applied = {
        ...admitted,
        networks: settle(admitted.networks, applied?.networks ?? []),
        machines: settle(admitted.machines, applied?.machines ?? []),
        instances: settle(admitted.instances, applied?.instances ?? []),
      }
      workAtConnections(chance)
    },

    report(vipsHeldBy, at, ask) {
      if (self.isCut || self.isDead) return null
      const { applied } = self
      const describe = ({ id, generation }: Told): ObjectReport => ({
        id,
        generation,
        status: failing.has(id) ? 'failed' : pending.has(id) ? 'applying' : 'converged',
      })
      const holders = new Map(listHolders(applied).map((holder) => [holder.id, holder.addresses]))
      return {
        format: 1,
        host: name,
        generation: applied?.generation ?? 0,
        agentVersion: 'simulated',
        bootId: 'boot',
        sequence: ++sequence,
        startedAt: new Date(0).toISOString(),
        reportedAt: new Date(at).toISOString(),
        networks: listAll(admitted?.networks, applied?.networks).map(describe),
        machines: listAll(admitted?.machines, applied?.machines).map((machine) => ({
          ...describe(machine),
          ...describeAddresses(machine.id, holders),
        })),
        instances: listAll(admitted?.instances, applied?.instances).map((instance) => ({
          ...describe(instance),
          ...describeAddresses(instance.id, holders),
          ...describeService(instance, applied, vipsHeldBy, self.broken),
        })),
        ...testify(applied ?? undefined, ask, isOnUplink(self)),
      }
    },
  }

  const describeAddresses = (
    id: string,
    holders: ReadonlyMap<string, readonly string[]>,
  ): { addresses?: AddressReport[] } => {
    const addresses = holders.get(id)
    if (addresses === undefined) return {}
    return {
      addresses: addresses.map((address) => ({
        address,
        answers: isAsTold(id),
        connections: connections.get(`${id} ${address}`) ?? 0,
      })),
    }
  }

  return self
}

/** What is told, and what is still there of what was told before. */
function listAll<Thing extends Told>(told: readonly Thing[] = [], applied: readonly Thing[] = []): readonly Thing[] {
  const ids = new Set(told.map(({ id }) => id))
  return [...told, ...applied.filter(({ id }) => !ids.has(id))]
}

function describeService(
  { id }: InstanceInstructions,
  applied: HostInstructions | null,
  vipsHeldBy: (instance: InstanceInstructions) => readonly string[],
  broken: ReadonlySet<string>,
): Pick<InstanceReport, 'haproxy' | 'keepalived' | 'serving' | 'drained' | 'heldVips' | 'members'> {
  const running = applied?.instances.find((instance) => instance.id === id)
  if (running === undefined || broken.has(id)) {
    return { haproxy: 'stopped', keepalived: 'stopped', serving: false, heldVips: [], members: {} }
  }
  const keys = running.listeners.flatMap(({ members }) => members.map((member) => `${member.id}:${member.port}`))
  return {
    haproxy: 'running',
    keepalived: 'running',
    serving: true,
    ...(running.draining === true && { drained: true }),
    heldVips: [...vipsHeldBy(running)],
    members: Object.fromEntries(keys.map((key) => [key, 'healthy'] as const)),
  }
}

/** Those that have several addresses. */
function listHolders(statement: HostInstructions | null) {
  const holders = [
    ...(statement?.machines ?? []).map(({ id, addresses }) => ({ id, addresses: addresses.map((one) => one.address) })),
    ...(statement?.instances ?? []).map(({ id, network }) => ({
      id,
      addresses: [network.address, network.formerAddress ?? []].flat(),
    })),
  ]
  return holders.filter(({ addresses }) => addresses.length > 1)
}

const objectsOf = (statement: HostInstructions | null) =>
  statement === null ? [] : [...statement.networks, ...statement.machines, ...statement.instances]
