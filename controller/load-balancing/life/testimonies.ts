/**
 * Who is asked about whom, and what they said: the controller has other hosts look for those that are suspected. Pure.
 * What is asked follows from what is recorded alone, so whichever controller plans asks the same.
 */

import type { WitnessInstructions } from '../../../agent/contract/host-instructions.ts'
import type { Testimony } from '../../../agent/contract/host-report.ts'
import type { StoredObject } from '../../control-plane/store.ts'
import type { InstanceValue } from '../../objects.ts'
import type { JudgedHost } from '../../reconcile/judge-hosts.ts'
import { isLeaving, type Snapshot } from '../../reconcile/snapshot.ts'
import { findOpenQuestion, type Testimonies } from './judge-suspicion.ts'

/** Of each suspect: one more than must miss it, so that one that is blind holds nothing up. */
const witnessesAsked = 3
/** How many must miss a suspect, where there are so many other hosts. */
const witnessesNeededMaximum = 2
const controlInstancesMaximum = 2

export interface WitnessTurn {
  readonly snapshot: Snapshot
  /** By host id. */
  readonly hosts: ReadonlyMap<string, JudgedHost>
}

interface Question {
  readonly instance: StoredObject<InstanceValue>
  readonly since: string
}

/** By host name, of those that are asked anything. */
export function planWitnesses(turn: WitnessTurn, uplinkGateway: string): ReadonlyMap<string, WitnessInstructions> {
  const questions = listQuestions(turn.snapshot)
  const asked = new Map<string, WitnessInstructions>()
  if (questions.length === 0) return asked
  const suspects = new Set(questions.map(({ instance }) => instance.id))
  const able = listAble(turn.snapshot)
  for (const { instance, since } of questions) {
    for (const host of chooseWitnesses(turn, instance, able)) {
      const known = asked.get(host.name) ?? {
        controls: [uplinkGateway, ...listControlInstances(turn.snapshot, host.id, suspects)],
        suspects: [],
      }
      known.suspects.push({ id: instance.id, address: instance.value.uplinkAddress, since })
      asked.set(host.name, known)
    }
  }
  return asked
}

/**
 * Those that are suspected, and former ones that say that they are well again: their own word is not enough, since that is
 * also what a host says whose uplink is cut.
 */
function listQuestions(snapshot: Snapshot): readonly Question[] {
  return [...snapshot.slots.values()].flatMap(({ value }) =>
    value.slots.flatMap(({ instanceId, former }): Question[] => {
      const open = findOpenQuestion(conditionsOf(snapshot, instanceId))
      const isBack = conditionsOf(snapshot, former?.instanceId).some(
        ({ type, status }) => type === 'ready' && status === 'true',
      )
      return [
        ...(open === null ? [] : ask(snapshot, instanceId, open.since)),
        ...(former?.why === 'suspected' && isBack ? ask(snapshot, former.instanceId, former.since) : []),
      ]
    }),
  )
}

const conditionsOf = ({ instanceStatuses }: Snapshot, id: string | null | undefined) =>
  instanceStatuses.get(id ?? '')?.value.conditions ?? []

function ask(snapshot: Snapshot, id: string | null, since: string): Question[] {
  const instance = snapshot.instances.get(id ?? '')
  return instance === undefined || isLeaving(snapshot, instance) ? [] : [{ instance, since }]
}

/** Hosts from which a haproxy can be asked: it takes an instance's address on the uplink. By id. */
const listAble = ({ instances, instanceStatuses }: Snapshot): ReadonlySet<string> =>
  new Set(
    [...instances.values()].flatMap(({ id, value }) =>
      instanceStatuses.get(id)?.value.status === 'active' ? [value.hostId] : [],
    ),
  )

/** Who can ask more goes first; then in an order of its own for each suspect, so that many suspects are many hosts' work. */
function chooseWitnesses(
  { hosts }: WitnessTurn,
  { id, value }: StoredObject<InstanceValue>,
  able: ReadonlySet<string>,
): readonly JudgedHost[] {
  return [...hosts.values()]
    .filter((host) => host.id !== value.hostId && host.hearing.kind === 'heard')
    .map((host) => ({ host, isAble: able.has(host.id), rank: Bun.hash(`${id} ${host.id}`) }))
    .toSorted((a, b) => Number(b.isAble) - Number(a.isAble) || (a.rank < b.rank ? -1 : 1))
    .slice(0, witnessesAsked)
    .map(({ host }) => host)
}

/** Instances elsewhere that nobody suspects, one a host: should the router answer nobody, they do. */
function listControlInstances(snapshot: Snapshot, hostId: string, suspects: ReadonlySet<string>): readonly string[] {
  const byHost = new Map<string, string>()
  for (const { id, value } of snapshot.instances.values()) {
    if (byHost.size >= controlInstancesMaximum) break
    if (value.hostId === hostId || suspects.has(id) || byHost.has(value.hostId)) continue
    if (snapshot.instanceStatuses.get(id)?.value.status === 'active') byHost.set(value.hostId, value.uplinkAddress)
  }
  return [...byHost.values()]
}

/** What was said in answer to the very question that is open now. */
export function readTestimonies(
  { hosts }: WitnessTurn,
  instanceId: string,
  question: { readonly since: string } | null,
): Testimonies {
  const said = new Map<keyof Testimonies, string[]>()
  for (const { name, hearing } of question === null ? [] : hosts.values()) {
    if (hearing.kind !== 'heard') continue
    const { testimony } = hearing.report
    const word = testimony?.suspects.find(({ id, since }) => id === instanceId && since === question?.since)
    if (testimony === undefined || word === undefined) continue
    const sense = readWord(word, testimony.sees)
    said.set(sense, [...(said.get(sense) ?? []), name])
  }
  const list = (sense: keyof Testimonies) => said.get(sense) ?? []
  return {
    reached: list('reached'),
    seen: list('seen'),
    unserved: list('unserved'),
    missed: list('missed'),
    blind: list('blind'),
  }
}

function readWord({ answers, serves }: Word, sees: boolean): keyof Testimonies {
  if (!answers) return sees ? 'missed' : 'blind'
  if (serves === undefined) return 'seen'
  return serves ? 'reached' : 'unserved'
}

type Word = Testimony['suspects'][number]

/**
 * How many must miss an instance of this host: two others, or the only other one. Who has been silent for longer than the
 * breaker's window is none of them any more; within the window nobody knows who of two fails.
 */
export function countWitnessesNeeded(
  { snapshot, hosts }: WitnessTurn,
  hostId: string,
  { windowSeconds, now }: { readonly windowSeconds: number; readonly now: number },
): number {
  const others = [...hosts.values()].filter((host) => {
    if (host.id === hostId || host.status === 'awaiting-join') return false
    return host.hearing.kind !== 'silent' || now - silentSince(snapshot, host) <= windowSeconds * 1000
  })
  return others.length === 0 ? Number.POSITIVE_INFINITY : Math.min(witnessesNeededMaximum, others.length)
}

/** A controller that began to listen a moment ago knows by the record that a host was silent before. */
export function silentSince({ hostStatuses }: Snapshot, { id, hearing }: JudgedHost): number {
  const recorded = hostStatuses.get(id)?.value
  const heard = hearing.kind === 'silent' ? Date.parse(hearing.since) : Number.POSITIVE_INFINITY
  return recorded?.status === 'silent' ? Math.min(Date.parse(recorded.since), heard) : heard
}
