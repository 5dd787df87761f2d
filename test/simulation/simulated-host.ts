/**
 * A host that speaks instructions and reports as an agent does, with nothing behind it: it has what it was told, after a
 * while, and says so. A dead host keeps what it has; a cut one runs on and is not heard.
 */

import { admitInstructions } from '../../agent/admit-instructions.ts'
import type { HostInstructions, InstanceInstructions } from '../../agent/contract/host-instructions.ts'
import type { AddressReport, HostReport, ObjectReport } from '../../agent/contract/host-report.ts'
import type { Chance } from './random.ts'

export interface SimulatedHost {
  readonly name: string
  /** Hears no instructions and is not heard. */
  isCut: boolean
  /** How likely it is, each time it works at something, that it fails at it for a while; 0 to 1. */
  failureRate: number
  /** What runs there, by the last statement that it has applied. */
  applied: HostInstructions | null
  /** Takes in what is published. */
  hear(statement: HostInstructions | null): void
  /** Works at what it was told: some of it, or all. */
  work(chance: Chance): void
  /** Null: it can't be heard. */
  report(vipsHeldBy: (instance: InstanceInstructions) => readonly string[], at: number): HostReport | null
}

export function createSimulatedHost(name: string): SimulatedHost {
  let admitted: HostInstructions | undefined
  let sequence = 0
  const pending = new Set<string>()
  const failing = new Set<string>()
  /** By holder and address, of those that have several. */
  const connections = new Map<string, number>()

  const self: SimulatedHost = {
    name,
    isCut: false,
    failureRate: 0,
    applied: null,

    hear(statement) {
      if (self.isCut || statement === null) return
      const next = admitInstructions(admitted, statement)
      if (next === 'older') throw new Error(`${name} was told generation ${statement.generation} after a newer one`)
      if (next.generation === admitted?.generation) return
      const known = new Map(objectsOf(admitted ?? null).map((object) => [object.id, object.generation]))
      for (const { id, generation } of objectsOf(next)) if (known.get(id) !== generation) pending.add(id)
      admitted = next
    },

    work(chance) {
      if (admitted === undefined) return
      self.applied = admitted
      for (const id of [...pending]) if (chance.happens(0.7)) pending.delete(id)
      for (const id of [...failing]) if (self.failureRate === 0 || chance.happens(0.1)) failing.delete(id)
      if (self.failureRate > 0) {
        for (const { id } of objectsOf(admitted)) if (chance.happens(self.failureRate)) failing.add(id)
      }
      for (const { id, addresses } of listHolders(admitted)) {
        for (const address of addresses) {
          const before = connections.get(`${id} ${address}`) ?? chance.below(3)
          connections.set(`${id} ${address}`, chance.happens(0.4) ? Math.max(0, before - 1) : before)
        }
      }
    },

    report(vipsHeldBy, at) {
      if (self.isCut) return null
      const describe = ({ id, generation }: { readonly id: string; readonly generation: number }): ObjectReport => ({
        id,
        generation,
        status: failing.has(id) ? 'failed' : pending.has(id) ? 'applying' : 'converged',
      })
      return {
        format: 1,
        host: name,
        generation: self.applied?.generation ?? 0,
        agentVersion: 'simulated',
        bootId: 'boot',
        sequence: ++sequence,
        startedAt: new Date(0).toISOString(),
        reportedAt: new Date(at).toISOString(),
        networks: (admitted?.networks ?? []).map(describe),
        machines: (admitted?.machines ?? []).map((machine) => ({ ...describe(machine), ...addressesOf(machine.id) })),
        instances: (admitted?.instances ?? []).map((instance) => {
          const serving = isServing(instance.id)
          return {
            ...describe(instance),
            ...addressesOf(instance.id),
            haproxy: serving ? 'running' : 'stopped',
            keepalived: serving ? 'running' : 'stopped',
            serving,
            heldVips: serving ? [...vipsHeldBy(instance)] : [],
            members: Object.fromEntries(
              instance.listeners.flatMap(({ members }) =>
                members.map((member) => [`${member.id}:${member.port}`, 'healthy'] as const),
              ),
            ),
          }
        }),
      }
    },
  }

  const addressesOf = (id: string): { addresses?: AddressReport[] } => {
    const holder = listHolders(admitted ?? null).find((one) => one.id === id)
    if (holder === undefined) return {}
    const isThere = !pending.has(id) && !failing.has(id)
    return {
      addresses: holder.addresses.map((address) => ({
        address,
        answers: isThere,
        connections: connections.get(`${id} ${address}`) ?? 0,
      })),
    }
  }
  const isServing = (id: string) => self.applied?.instances.some((instance) => instance.id === id) === true
  return self
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
