/** Numbers for the names of actions, as many as there is room for; the rest are one unknown. Touches nothing but memory. */

import type { Action } from './context-counts.ts'

export interface Names {
  readonly unknown: Action
  /** Gives it a number, if there is room for another. */
  number(name: string): Action
  find(name: string): Action
  name(action: Action): string
  size(): number
  save(): readonly string[]
}

const unknown = 0

export function createNames(maximum: number, saved: readonly string[] = []): Names {
  const names = saved.slice(0, maximum)
  const numbers = new Map(names.map((name, i) => [name, i + 1]))
  return {
    unknown,
    number(name) {
      const known = numbers.get(name)
      if (known !== undefined) return known
      if (names.length >= maximum) return unknown
      numbers.set(name, names.push(name))
      return names.length
    },
    find: (name) => numbers.get(name) ?? unknown,
    name: (action) => names[action - 1] ?? '',
    size: () => names.length,
    save: () => [...names],
  }
}
