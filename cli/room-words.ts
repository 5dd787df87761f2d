/** How the making of room is told: "move 3 machines and free 198.18.16.0/22". Pure. */

import type { Compaction, Defragmentation, Evacuated } from '../controller/contract/space.ts'
import { indent, table } from './output.ts'

const blocksNamedMaximum = 4
const inTheWayShownMaximum = 20

export function describeDefragmentation(made: Defragmentation): string {
  const { block, status, evacuate, inTheWay } = made
  if (status === 'impossible' || block === null) {
    const shown = inTheWay.slice(0, inTheWayShownMaximum).map(({ block: one, obstacles }) => {
      return `${one}: ${obstacles.map(({ message }) => message).join('; ')}`
    })
    const more = inTheWay.length > shown.length ? ['and more'] : []
    return `no block of ${made.sizeAddresses} addresses can be freed\n${indent([...shown, ...more].join('\n'))}`
  }
  if (status === 'free') return `${block} is free already: there is nothing to move`
  return describeMade(made, block, `${block} is free now`, evacuate)
}

export function describeCompaction(made: Compaction): string {
  const { status, evacuate } = made
  if (status === 'free') return 'no shard of it can be emptied into the others'
  const blocks = evacuate.map(({ cidr }) => cidr)
  const more = blocks.length - blocksNamedMaximum
  const named = blocks.slice(0, blocksNamedMaximum).join(', ') + (more > 0 ? ` and ${more} more` : '')
  return describeMade(made, named, `${named} ${blocks.length === 1 ? 'is' : 'are'} empty, and on no network`, evacuate)
}

function describeMade(
  { status, moves }: Pick<Compaction, 'status' | 'moves'>,
  what: string,
  done: string,
  evacuate: readonly Evacuated[],
): string {
  switch (status) {
    case 'planned':
      return `${describeMoves(evacuate, moves)} and free ${what}\n\n${describeShards(evacuate)}`
    case 'migrating':
      return `${describeMoves(evacuate, moves)} to free ${what}: under way\n\n${describeShards(evacuate)}`
    case 'blocked': {
      const refused = evacuate.filter(({ reason }) => reason !== null)
      const reasons = refused.map(({ name, cidr, reason }) => `${name} (${cidr}): ${reason ?? ''}`)
      return `${what} can not be freed yet\n${indent(reasons.join('\n'))}`
    }
    case 'freed':
      return done
    case 'free':
    case 'impossible':
      return `${what}: ${status}`
    default:
      return status satisfies never
  }
}

/** `move 3 machines and 1 instance`. */
export function describeMoves(evacuate: readonly Evacuated[], moves: number): string {
  if (moves === 0) return `give back ${count(evacuate.length, 'empty shard')}`
  const instances = evacuate.reduce((sum, one) => sum + one.instances, 0)
  const machines = Math.max(0, moves - instances)
  const parts = [
    ...(machines > 0 ? [count(machines, 'machine')] : []),
    ...(instances > 0 ? [count(instances, 'instance')] : []),
  ]
  return `move ${parts.join(' and ')}`
}

const describeShards = (evacuate: readonly Evacuated[]) =>
  table(
    ['shard', 'cidr', 'network', 'moves', 'migration'],
    evacuate.map(({ name, cidr, networkName, holders, migrationId }) => [
      name,
      cidr,
      networkName ?? '-',
      String(holders),
      migrationId ?? '-',
    ]),
  )

const count = (number: number, one: string) => `${number} ${one}${number === 1 ? '' : 's'}`
