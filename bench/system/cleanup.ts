/** What a bench has made and must take away, however it ends: the last first, each with its failure told and not thrown. */

export interface Cleanup {
  defer(what: string, take: () => Promise<unknown>): void
  /** Once; later calls wait for the first. */
  run(): Promise<void>
}

export function createCleanup(tell: (text: string) => void): Cleanup {
  const stack: { what: string; take: () => Promise<unknown> }[] = []
  let running: Promise<void> | undefined
  const runAll = async () => {
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      const { what, take } = next
      await take().catch((error: unknown) => tell(`${what} could not be taken away: ${String(error)}`))
    }
  }
  return {
    defer: (what, take) => void stack.push({ what, take }),
    run() {
      running ??= runAll()
      return running
    },
  }
}
