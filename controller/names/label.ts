/**
 * The label of a balancer in its DNS name, made from its name, which is free text. Unique within its project: of two names
 * that give one label the balancer that came first has it, and the other's ends in a part of its id. Pure.
 */

import { makeDnsLabel } from '../access/dns-label.ts'

/** So that a part of the id fits behind it: a label has at most 63. */
const madeMaximum = 56
const idPart = 6

export const makeLabel = (name: string): string => makeDnsLabel(name, madeMaximum, 'balancer')

export interface Labelled {
  readonly id: string
  readonly name: string
  /** The label that it has been given; null: none yet. It keeps it for as long as its name is the same. */
  readonly label: string | null
}

/** The labels of a project's balancers, by id. @param balancers all of the project, the oldest first */
export function assignLabels(balancers: readonly Labelled[]): ReadonlyMap<string, string> {
  const labels = new Map<string, string>()
  const taken = new Set<string>()
  const assign = (id: string, label: string) => {
    labels.set(id, label)
    taken.add(label)
  }
  for (const { id, name, label } of balancers) {
    const made = makeLabel(name)
    const fits = label === made || label === withPart(made, id)
    if (fits && label !== null && !taken.has(label)) assign(id, label)
  }
  for (const { id, name } of balancers) {
    if (labels.has(id)) continue
    const made = makeLabel(name)
    // The last one can't be taken: nobody's label is made of a whole id but its own, or its name says that id.
    const candidates = [made, withPart(made, id), id.replace('_', '-')]
    const free = candidates.find((candidate) => !taken.has(candidate))
    if (free !== undefined) assign(id, free)
  }
  return labels
}

const withPart = (label: string, id: string) => `${label}-${id.slice(-idPart)}`
