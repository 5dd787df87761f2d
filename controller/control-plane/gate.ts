/** Lets a bounded number in at a time, in the order of their coming. Touches nothing. */

export interface Gate {
  /** False: too many wait already. */
  enter(): Promise<boolean>
  leave(): void
}

export interface GateOptions {
  readonly insideMaximum: number
  readonly waitingMaximum: number
}

export function createGate(options: GateOptions): Gate {
  const { insideMaximum, waitingMaximum } = options
  const waiting: (() => void)[] = []
  let inside = 0
  return {
    async enter() {
      if (inside < insideMaximum) {
        inside++
        return true
      }
      if (waiting.length >= waitingMaximum) return false
      await new Promise<void>((resolve) => waiting.push(resolve))
      return true
    },
    leave() {
      // Who leaves gives the place to the next, so that nobody slips in between.
      const next = waiting.shift()
      if (next === undefined) inside--
      else next()
    },
  }
}
