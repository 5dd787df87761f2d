/** What contexts say for each candidate, as the mixer takes it: which weight each of them has, and its value. Pure. */

import type { Action, Successors } from './context-counts.ts'
import type { Evidence } from './mixer.ts'

/** Of one place: what was counted in each slot's context, where there is one. */
export type Found = readonly (Successors | undefined)[]

const candidatesMaximum = 48
/** What has never been counted in a context is taken for counted so often. */
const unseenCount = 0.5
/** What shares are seen against: below it they say little. */
const smoothing = 0.02
/** By how much was counted in a context a slot has a weight of its own: none, up to 1.5, 4, 10, more. */
const trustSteps = [0, 1.5, 4, 10]
export const trusts = trustSteps.length + 1
/** By how long ago the user did it last: 1, 2, up to 4, 8, 16, 32, 64 actions, never. */
export const ages = 8

/** Those that contexts give most, of all of them together. */
export function gatherCandidates(found: Found): readonly Action[] {
  const shares = new Map<Action, number>()
  for (const successors of found) {
    if (successors === undefined) continue
    for (const [action, count] of successors.counts) {
      shares.set(action, (shares.get(action) ?? 0) + count / (successors.total + unseenCount))
    }
  }
  const candidates = [...shares]
  if (candidates.length > candidatesMaximum) {
    candidates.sort((a, b) => b[1] - a[1])
    candidates.length = candidatesMaximum
  }
  return candidates.map(([action]) => action)
}

/** What a context does not give a candidate is no evidence: the logarithm of one. */
export function gatherEvidence(candidates: readonly Action[], found: Found, recent: readonly Action[]): Evidence {
  const places = new Map(candidates.map((action, i) => [action, i]))
  const rowsMaximum = candidates.length * (found.length + 1)
  const candidateOf = new Int32Array(rowsMaximum)
  const weightOf = new Int32Array(rowsMaximum)
  const values = new Float64Array(rowsMaximum)
  let rows = 0
  const add = (candidate: number, weight: number, value: number) => {
    candidateOf[rows] = candidate
    weightOf[rows] = weight
    values[rows++] = value
  }
  for (const [i, successors] of found.entries()) {
    if (successors === undefined) continue
    const weight = i * trusts + trustOf(successors.total)
    for (const [action, count] of successors.counts) {
      const candidate = places.get(action)
      if (candidate === undefined) continue
      add(candidate, weight, Math.log(1 + count / (successors.total + unseenCount) / smoothing))
    }
  }
  for (const [action, candidate] of places) add(candidate, found.length * trusts + ageOf(action, recent), 1)
  return { candidates: candidates.length, rows, candidateOf, weightOf, values }
}

function ageOf(action: Action, recent: readonly Action[]): number {
  const age = recent.indexOf(action)
  return age < 0 ? ages - 1 : Math.min(ages - 2, Math.ceil(Math.log2(age + 1)))
}

function trustOf(total: number): number {
  const step = trustSteps.findIndex((most) => total <= most)
  return step < 0 ? trustSteps.length : step
}
