/** Which standbys a load balancer should have as members: one for each of its own members that is unhealthy. Pure. */

export interface SeenMember {
  readonly id: string
  readonly address: string | null
  readonly status: string
}

export type StandbyOperation =
  | { readonly kind: 'addMember'; readonly address: string }
  | { readonly kind: 'removeMember'; readonly id: string; readonly address: string }

/**
 * Standbys are taken in their order, and given up in the opposite one. A member whose health is not known yet counts as
 * healthy, and a standby that is unhealthy itself as no help.
 * @example planStandbys([{ id: 'm', address: '198.18.16.11', status: 'unhealthy' }], ['198.18.16.20'])
 *   // [{ kind: 'addMember', address: '198.18.16.20' }]
 */
export function planStandbys(members: readonly SeenMember[], standbys: readonly string[]): readonly StandbyOperation[] {
  const own = members.filter(({ address }) => address === null || !standbys.includes(address))
  const missing = own.filter(({ status }) => status === 'unhealthy').length
  let wanted = missing
  return standbys.flatMap((address): StandbyOperation[] => {
    const member = members.find((candidate) => candidate.address === address)
    if (wanted > 0) {
      if (member?.status !== 'unhealthy') wanted--
      return member === undefined ? [{ kind: 'addMember', address }] : []
    }
    return member === undefined ? [] : [{ kind: 'removeMember', id: member.id, address }]
  })
}
