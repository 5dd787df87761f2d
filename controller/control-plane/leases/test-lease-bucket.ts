/** A lease bucket in memory with a switch between it and each controller, and a clock for each. Only tests use it. */

import type { LeaseBucket, LeaseEntry } from './lease-bucket.ts'
import { type KeptLeases, openLeases } from './leases.ts'

export interface TestLeaseWorld {
  /** A controller whose clock stands still until `advance` moves it. */
  open(id: string): Promise<TestController>
}

export interface TestController {
  readonly leases: KeptLeases
  /** Cuts it off: it neither hears nor writes, until it is joined again. */
  cut(): void
  join(): void
  /** Stops it: for so long `advance` moves its clock as everybody's, and it does and hears nothing. */
  freeze(milliseconds: number): void
}

export function createTestLeaseWorld(): TestLeaseWorld & { advance(milliseconds: number): Promise<void> } {
  const entries = new Map<string, LeaseEntry>()
  const log: LeaseEntry[] = []
  const followers = new Set<() => void>()
  const controllers: { readonly tick: (milliseconds: number) => void; readonly turn: () => Promise<void> }[] = []
  let nonces = 0

  function connect(isAway: () => boolean): LeaseBucket & { deliver(): void } {
    let position = 0
    let listener: ((entry: LeaseEntry) => void) | null = null
    const deliver = () => {
      while (listener !== null && !isAway()) {
        const entry = log[position]
        if (entry === undefined) return
        position += 1
        listener(entry)
      }
    }
    followers.add(deliver)
    const refuse = () => {
      if (isAway()) throw new Error('cut off')
    }
    return {
      deliver,
      async follow(next) {
        listener = next
        deliver()
      },
      async read(key) {
        refuse()
        return entries.get(key) ?? null
      },
      async write(key, text, revision) {
        refuse()
        if (revision !== null && revision !== (entries.get(key)?.revision ?? 0)) return null
        const entry = { key, text, revision: log.length + 1 }
        entries.set(key, entry)
        log.push(entry)
        for (const tell of followers) tell()
        return entry.revision
      },
    }
  }

  return {
    async open(id) {
      let isCut = false
      let now = 0
      let frozenUntil = 0
      const bucket = connect(() => isCut || now < frozenUntil)
      const createNonce = () => `nonce-${++nonces}`
      const about = { id, address: `http://${id}`, version: '1', since: '2026-01-01T00:00:00Z' }
      const leases = await openLeases({
        ...about,
        bucket,
        createNonce,
        now: () => now,
        onTrouble: () => {},
        isTurning: false,
      })
      const tick = (milliseconds: number) => {
        now += milliseconds
      }
      const turn = async () => {
        if (now < frozenUntil) return
        await leases.turn()
        bucket.deliver()
      }
      controllers.push({ tick, turn })
      return {
        leases,
        cut: () => {
          isCut = true
        },
        join: () => {
          isCut = false
          bucket.deliver()
        },
        freeze: (milliseconds) => {
          frozenUntil = now + milliseconds
        },
      }
    },
    async advance(milliseconds) {
      const step = 200
      for (let passed = 0; passed < milliseconds; passed += step) {
        for (const { tick } of controllers) tick(step)
        for (const { turn } of controllers) await turn()
      }
    },
  }
}
