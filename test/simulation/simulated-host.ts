/**
 * A host that speaks instructions and reports as an agent does, with nothing behind it: it has what it was told, after a
 * while, and says so. A dead host keeps what it has; a cut one runs on and is not heard.
 */

import { admitInstructions } from '../../agent/admit-instructions.ts'
import type { HostInstructions, InstanceInstructions } from '../../agent/contract/host-instructions.ts'
import type { HostReport, ObjectReport } from '../../agent/contract/host-report.ts'
import type { Chance } from './random.ts'

export interface SimulatedHost {
  readonly name: string
  /** Hears no instructions and is not heard. */
  isCut: boolean
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

  const self: SimulatedHost = {
    name,
    isCut: false,
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
    },

    report(vipsHeldBy, at) {
      if (self.isCut) return null
      const describe = ({ id, generation }: { readonly id: string; readonly generation: number }): ObjectReport => ({
        id,
        generation,
        status: pending.has(id) ? 'applying' : 'converged',
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
        machines: (admitted?.machines ?? []).map(describe),
        instances: (admitted?.instances ?? []).map((instance) => {
          const serving = isServing(instance.id)
          return {
            ...describe(instance),
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

  const isServing = (id: string) => self.applied?.instances.some((instance) => instance.id === id) === true
  return self
}

const objectsOf = (statement: HostInstructions | null) =>
  statement === null ? [] : [...statement.networks, ...statement.machines, ...statement.instances]
