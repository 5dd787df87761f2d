/** Decides which of two statements holds: a pure function that never lets an object go back to an older generation. */

import type { HostInstructions } from './contract/host-instructions.ts'

/**
 * The statement to follow from now on, or that the new one is older as a whole. An object that is older in an otherwise
 * newer statement is kept as it is.
 */
export function admitInstructions(
  current: HostInstructions | undefined,
  next: HostInstructions,
): HostInstructions | 'older' {
  if (current === undefined) return next
  if (next.generation < current.generation) return 'older'
  return {
    ...next,
    networks: keepNewer(current.networks, next.networks),
    machines: keepNewer(current.machines, next.machines),
    instances: keepNewer(current.instances, next.instances),
  }
}

function keepNewer<T extends { readonly id: string; readonly generation: number }>(
  current: readonly T[],
  next: readonly T[],
): T[] {
  const currentById = new Map(current.map((object) => [object.id, object]))
  return next.map((object) => {
    const before = currentById.get(object.id)
    return before && before.generation > object.generation ? before : object
  })
}
