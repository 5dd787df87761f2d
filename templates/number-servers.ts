/**
 * Gives servers the numbers by which haproxy's tables and rings know them: the same in each instance and after each reload,
 * and no two alike in one backend, whatever their hashes are. Pure.
 */

import { createHash } from 'node:crypto'
import type { InstanceInstructions, ListenerInstructions } from '../agent/contract/host-instructions.ts'

type Member = ListenerInstructions['members'][number]

export interface NumberedServers {
  /** By member. */
  readonly numbers: ReadonlyMap<Member, number>
  /** Those that have not the number that follows from them alone, as another one has it: `<number> <member> <place>`. */
  readonly displaced: readonly string[]
}

/** haproxy counts them in 31 bits. */
const numberMaximum = 2_147_483_646

type Binding = Pick<InstanceInstructions, 'algorithm' | 'traffic'>

/** Clients are bound by a number to a place on the ring, or in the table that instances share. */
export const isNumbered = ({ algorithm, traffic }: Binding) =>
  algorithm === 'source' || traffic?.stickySessions?.by === 'source'

/**
 * Only where clients are bound by a number; elsewhere haproxy counts by itself. Of two members with one number the second, in the order of their names, takes the next free one.
 */
export function numberServers(binding: Binding, { members }: Pick<ListenerInstructions, 'members'>): NumberedServers {
  const numbers = new Map<Member, number>()
  if (!isNumbered(binding)) return { numbers, displaced: [] }
  const named = members.map((member) => ({ member, name: `${member.id} ${member.address}:${member.port}` }))
  const taken = new Set<number>()
  const displaced: string[] = []
  for (const { member, name } of named.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const own = (createHash('sha256').update(name).digest().readUInt32BE() % numberMaximum) + 1
    let number = own
    while (taken.has(number)) number = (number % numberMaximum) + 1
    taken.add(number)
    numbers.set(member, number)
    if (number !== own) displaced.push(`${number} ${name}`)
  }
  return { numbers, displaced }
}
