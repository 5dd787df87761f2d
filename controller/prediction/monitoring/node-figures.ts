/** Nodes as their servers measure themselves, from one sample to the next. Bounded by the number of nodes. */

import type { ServerSample } from '../../nats/cluster/measure-servers.ts'

export interface NodeFigures {
  readonly cpuPercent: number
  readonly memoryBytes: number
  readonly diskBytes: number
  /** Of what JetStream may keep; null: it has no limit. */
  readonly diskShare: number | null
  /** Null: it has told once only, or was started anew. */
  readonly receivedBytesPerSecond: number | null
  readonly sentBytesPerSecond: number | null
}

export interface NodeSamples {
  accept(samples: readonly ServerSample[], now: number): void
  /** By node; one that has not told lately is not there. */
  read(now: number): ReadonlyMap<string, NodeFigures>
}

const freshMilliseconds = 60_000

export function createNodeSamples(): NodeSamples {
  const known = new Map<string, { readonly sample: ServerSample; readonly figures: NodeFigures; readonly at: number }>()
  return {
    accept(samples, now) {
      for (const sample of samples) {
        known.set(sample.node, { sample, figures: compareSamples(known.get(sample.node)?.sample, sample), at: now })
      }
      for (const [node, { at }] of [...known]) if (now - at > freshMilliseconds) known.delete(node)
    },
    read: (now) =>
      new Map([...known].flatMap(([node, { figures, at }]) => (now - at > freshMilliseconds ? [] : [[node, figures]]))),
  }
}

/** Counters that went back are of a server that was started anew: then there is no rate. */
export function compareSamples(before: ServerSample | undefined, after: ServerSample): NodeFigures {
  const seconds = before === undefined ? 0 : (after.atMilliseconds - before.atMilliseconds) / 1000
  const rate = (of: (sample: ServerSample) => number) =>
    before === undefined || seconds <= 0 || of(after) < of(before) ? null : (of(after) - of(before)) / seconds
  return {
    cpuPercent: after.cpuPercent,
    memoryBytes: after.memoryBytes,
    diskBytes: after.diskBytes,
    diskShare: after.diskBytesMaximum > 0 ? after.diskBytes / after.diskBytesMaximum : null,
    receivedBytesPerSecond: rate(({ receivedBytes }) => receivedBytes),
    sentBytesPerSecond: rate(({ sentBytes }) => sentBytes),
  }
}
