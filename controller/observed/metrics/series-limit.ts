/**
 * How many series a project, or a host for itself, may have: one that makes up a new name with every point is stopped, and
 * named, before it takes the memory of all. Pure counting.
 */

import type { Holder, SeriesName } from './series.ts'

/** A project of a hundred balancers with thirty members each, on two instances, has some seven thousand. */
export const seriesOfProjectMaximum = 50_000
/** Of what belongs to the rack: a host's own, and what its collectd measures. */
export const seriesOfHostMaximum = 20_000

/** Who has too many, and the source of most of those that were refused. */
export interface Culprit {
  /** A project's id, or the name of a host. */
  readonly owner: string
  readonly projectId: string | null
  readonly seriesMaximum: number
  readonly host: string
  readonly plugin: string
  readonly refused: number
}

export interface SeriesLimit {
  /** Counts a new series; false: it is one too many. */
  admit(holder: Holder, name: SeriesName): boolean
  release(holder: Holder): void
  /** Who was refused any since this was asked last, each once. */
  takeCulprits(): readonly Culprit[]
}

export interface SeriesLimits {
  readonly ofProject: number
  readonly ofHost: number
}

export function createSeriesLimit(
  limits: SeriesLimits = { ofProject: seriesOfProjectMaximum, ofHost: seriesOfHostMaximum },
): SeriesLimit {
  const counts = new Map<string, number>()
  const refusals = new Map<string, Map<string, Culprit>>()
  const ownerOf = ({ name, projectId }: Holder) => projectId ?? name
  const maximumOf = ({ projectId }: Holder) => (projectId === null ? limits.ofHost : limits.ofProject)

  return {
    admit(holder, { host, plugin }) {
      const owner = ownerOf(holder)
      const count = counts.get(owner) ?? 0
      if (count < maximumOf(holder)) {
        counts.set(owner, count + 1)
        return true
      }
      const ofOwner = refusals.get(owner) ?? new Map<string, Culprit>()
      refusals.set(owner, ofOwner)
      const source = `${host} ${plugin}`
      const refused = (ofOwner.get(source)?.refused ?? 0) + 1
      // Who makes up names may make up plugins as well.
      if (ofOwner.size < sourcesMaximum || ofOwner.has(source)) {
        const { projectId } = holder
        ofOwner.set(source, { owner, projectId, seriesMaximum: maximumOf(holder), host, plugin, refused })
      }
      return false
    },
    release(holder) {
      const owner = ownerOf(holder)
      const count = (counts.get(owner) ?? 0) - 1
      if (count > 0) counts.set(owner, count)
      else counts.delete(owner)
    },
    takeCulprits() {
      const culprits = [...refusals.values()].flatMap((sources) => {
        const [worst] = [...sources.values()].toSorted((a, b) => b.refused - a.refused)
        return worst ?? []
      })
      refusals.clear()
      return culprits
    },
  }
}

const sourcesMaximum = 100
