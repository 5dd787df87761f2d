/** Blocks in memory, for tests, with the same conditions on writes; it can be told to refuse, as a server that is away. */

import type { BlockStore, Progress } from './block-store.ts'
import { blockSubject } from './tiers.ts'

export interface TestBlocks extends BlockStore {
  /** What lies there, by subject. */
  readonly stored: ReadonlyMap<string, Uint8Array>
  /** Called ahead of each request; what it throws is what the request rejects with. */
  interfere: (request: 'read' | 'write', subject: string) => void
}

export function createTestBlocks(): TestBlocks {
  const stored = new Map<string, Uint8Array>()
  const revisions = new Map<string, number>()
  let sequence = 0
  let progress: Progress | null = null
  let progressRevision = 0

  const blocks: TestBlocks = {
    stored,
    interfere: () => undefined,
    async read(tier, owner, start) {
      const subject = blockSubject(tier, owner, start)
      await Promise.resolve()
      blocks.interfere('read', subject)
      return { bytes: stored.get(subject) ?? null, revision: revisions.get(subject) ?? 0 }
    },
    async readMany(tier, owner, starts) {
      const found = new Map<number, Uint8Array>()
      for (const start of starts) {
        const { bytes } = await blocks.read(tier, owner, start)
        if (bytes !== null) found.set(start, bytes)
      }
      return found
    },
    async write(tier, owner, start, bytes, revision) {
      const subject = blockSubject(tier, owner, start)
      await Promise.resolve()
      blocks.interfere('write', subject)
      if ((revisions.get(subject) ?? 0) !== revision) return false
      stored.set(subject, bytes)
      revisions.set(subject, ++sequence)
      return true
    },
    readProgress: async () => ({ progress, revision: progressRevision }),
    async writeProgress(next, revision) {
      blocks.interfere('write', 'progress')
      if (revision !== progressRevision) return false
      progress = next
      progressRevision = ++sequence
      return true
    },
  }
  return blocks
}
