/** A directory that is kept nowhere: for tests and simulations, and for stores in memory. Touches nothing. */

import { type MicroshardDirectory, planFirstDirectory } from '../microshard-directory.ts'
import type { WatchedDirectory } from './watched-directory.ts'

export function createMemoryDirectory(first: MicroshardDirectory = planFirstDirectory()): WatchedDirectory {
  const listeners = new Set<(directory: MicroshardDirectory) => void>()
  let current = first
  return {
    current: () => current,
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async reachNewer(version, waitMilliseconds) {
      if (current.version > version) return true
      const news = Promise.withResolvers<void>()
      listeners.add(() => news.resolve())
      const timer = setTimeout(news.resolve, waitMilliseconds)
      await news.promise
      clearTimeout(timer)
      return current.version > version
    },
    refresh: async () => current,
    async change(plan) {
      const planned = plan(current)
      if (planned.kind === 'keep') return planned
      current = planned.directory
      for (const listener of [...listeners]) listener(current)
      return planned
    },
    close: async () => listeners.clear(),
  }
}
