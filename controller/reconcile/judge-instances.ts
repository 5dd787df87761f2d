/** Judges every instance of the rack, with all that is known of it in this turn: reports, witnesses, its place. Pure. */

import type { HostInstructions } from '../../agent/contract/host-instructions.ts'
import { findOpenQuestion } from '../load-balancing/life/judge-suspicion.ts'
import type { LifeSettings } from '../load-balancing/life/life-settings.ts'
import type { FormerInstance } from '../load-balancing/life/life-values.ts'
import { countWitnessesNeeded, readTestimonies } from '../load-balancing/life/testimonies.ts'
import type { Hearing, JudgedHost } from './judge-hosts.ts'
import { type JudgedInstance, judgeInstance } from './judge-instance.ts'
import { isLeaving, type Snapshot } from './snapshot.ts'

/** By object id, the generation that its host must answer. Ids are unique in the rack. */
export type Generations = ReadonlyMap<string, number>

export function indexGenerations(statements: ReadonlyMap<string, HostInstructions>): Generations {
  const generations = new Map<string, number>()
  for (const { machines, instances } of statements.values()) {
    for (const { id, generation } of machines) generations.set(id, generation)
    for (const { id, generation } of instances) generations.set(id, generation)
  }
  return generations
}

export interface JudgingTurn {
  readonly snapshot: Snapshot
  /** By host id. */
  readonly hosts: ReadonlyMap<string, JudgedHost>
  readonly life: LifeSettings
  readonly now: number
}

export const gone: Hearing = { kind: 'gone' }

export function judgeInstances(turn: JudgingTurn, generations: Generations): ReadonlyMap<string, JudgedInstance> {
  const { snapshot, hosts, life, now } = turn
  const places = indexPlaces(snapshot)
  const needed = new Map(
    [...hosts.keys()].map((id) => [
      id,
      countWitnessesNeeded(turn, id, { windowSeconds: life.breakerWindowSeconds, now }),
    ]),
  )
  return new Map(
    [...snapshot.instances.values()].map((instance) => {
      const host = hosts.get(instance.value.hostId)
      const before = snapshot.instanceStatuses.get(instance.id)?.value ?? null
      const place = places.get(instance.id)
      const question = place?.former ?? findOpenQuestion(before?.conditions ?? [])
      const judged = judgeInstance({
        instance,
        before,
        isLeaving: isLeaving(snapshot, instance),
        host: host?.name ?? instance.value.hostId,
        hearing: host?.hearing ?? gone,
        generation: generations.get(instance.id),
        homeVip: place?.homeVip,
        former: place?.former,
        isTakingOver: place?.isTakingOver === true,
        isWithdrawn: place?.isWithdrawn === true,
        testimonies: readTestimonies(turn, instance.id, question),
        witnessesNeeded: needed.get(instance.value.hostId) ?? Number.POSITIVE_INFINITY,
        suspectAfterSeconds: life.suspectAfterSeconds,
        now,
      })
      return [instance.id, judged] as const
    }),
  )
}

interface Place {
  readonly homeVip: string | undefined
  readonly former: FormerInstance | undefined
  readonly isTakingOver: boolean
  readonly isWithdrawn: boolean
}

function indexPlaces({ slots }: Snapshot): ReadonlyMap<string, Place> {
  const places = new Map<string, Place>()
  for (const { value } of slots.values()) {
    for (const { vip, instanceId, former, leavingSince } of value.slots) {
      const isWithdrawn = leavingSince !== undefined
      if (former !== undefined)
        places.set(former.instanceId, { homeVip: undefined, former, isTakingOver: false, isWithdrawn })
      const isTakingOver = former !== undefined && former.why !== 'suspected'
      if (instanceId !== null) places.set(instanceId, { homeVip: vip, former: undefined, isTakingOver, isWithdrawn })
    }
  }
  return places
}
