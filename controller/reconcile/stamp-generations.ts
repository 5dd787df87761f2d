/**
 * Generations: each object of a statement carries that of the statement in which it last changed, so an agent can tell
 * old from new whatever came and went between, and a report tells which change it answers. Pure.
 */

import type { HostInstructions, WitnessInstructions } from '../../agent/contract/host-instructions.ts'
import type { HostContent } from './render-host-instructions.ts'

/** Null: the host's statement says just this already. */
export function stampGenerations(
  content: HostContent,
  published: HostInstructions | null,
  options: {
    /** The highest generation that the host is known to have seen. */
    readonly floor: number
    /** RFC 3339. */
    readonly issuedAt: string
    /** Whom it is to look for, if anybody. */
    readonly witness?: WitnessInstructions | undefined
  },
): HostInstructions | null {
  const generation = Math.max(published?.generation ?? 0, options.floor) + 1
  const networks = stamp(content.networks, published?.networks ?? [], generation)
  const machines = stamp(content.machines, published?.machines ?? [], generation)
  const instances = stamp(content.instances, published?.instances ?? [], generation)
  const { witness } = options
  const isAskedTheSame = Bun.deepEquals(witness, published?.witness)
  const isSame =
    published !== null && isAskedTheSame && [networks, machines, instances].every(({ unchanged }) => unchanged)
  // A host that has seen a newer statement than ours would refuse ours: say the same again, as a newer one.
  if (isSame && published.generation >= options.floor) return null
  return {
    format: 1,
    host: content.host,
    generation,
    issuedAt: options.issuedAt,
    networks: networks.objects,
    machines: machines.objects,
    instances: instances.objects,
    ...(witness !== undefined && { witness }),
  }
}

interface Stamped {
  readonly id: string
  readonly generation: number
  readonly traceparent?: string | undefined
}

function stamp<Instructions extends Stamped>(
  wanted: readonly Omit<Instructions, 'generation'>[],
  before: readonly Instructions[],
  generation: number,
): { readonly objects: Instructions[]; readonly unchanged: boolean } {
  const beforeById = new Map(before.map((object) => [object.id, object]))
  let unchanged = wanted.length === before.length
  const objects = wanted.map((object, i) => {
    const known = beforeById.get(object.id as string)
    if (known !== undefined && saysTheSame(object, known)) {
      if (before[i] !== known) unchanged = false
      return known
    }
    unchanged = false
    return { ...object, generation } as Instructions
  })
  return { objects, unchanged }
}

/** What was found to say the same as what is published: what is rendered the very same is not compared again. */
const sameAs = new WeakMap<object, object>()

/** A trace alone changes nothing on the host. */
function saysTheSame<Instructions extends Stamped>(
  wanted: Omit<Instructions, 'generation'>,
  known: Instructions,
): boolean {
  if (sameAs.get(wanted) === known) return true
  const { generation: _, traceparent: _known, ...knownContent } = known
  const { traceparent: _wanted, ...wantedContent } = wanted as { traceparent?: string | undefined }
  if (!Bun.deepEquals(wantedContent, knownContent)) return false
  sameAs.set(wanted, known)
  return true
}
