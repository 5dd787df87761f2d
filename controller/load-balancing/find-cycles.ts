/**
 * Whether a balancer's traffic would come back to it: a member that is one of its own VIPs or its own name, or those of
 * another balancer of the project whose traffic does. Reads the store.
 */

import { networkDomain } from '../address-space/networks.ts'
import type { Store } from '../control-plane/store.ts'
import { type LoadBalancerValue, loadBalancerKind, loadBalancerSlotsKind, projectKind } from '../objects.ts'
import { endpointOf, type MemberFault } from './members.ts'

interface Balancer {
  readonly id: string
  readonly name: string
  readonly vips: ReadonlySet<string>
  readonly targets: readonly string[]
}

/** @param id the balancer's own, which may not be in the store yet */
export function findCycleFaults(
  store: Pick<Store, 'snapshot'>,
  id: string,
  value: LoadBalancerValue,
): readonly MemberFault[] {
  const { projectId } = value
  const slug = store.snapshot(projectKind, projectId).find((project) => project.id === projectId)?.value.slug
  const slots = new Map(store.snapshot(loadBalancerSlotsKind, projectId).map((each) => [each.id, each.value.slots]))
  const describe = (balancerId: string, of: LoadBalancerValue): Balancer => ({
    id: balancerId,
    name: of.name,
    vips: new Set((slots.get(balancerId) ?? []).map(({ vip }) => vip)),
    targets: listTargets(of).map(({ target }) => target),
  })
  const own = describe(id, value)
  const others = store
    .snapshot(loadBalancerKind, projectId)
    .filter((each) => each.id !== id && each.value.projectId === projectId)
    .map((each) => describe(each.id, each.value))
  const all = [own, ...others]
  const behind = (target: string) => all.find((each) => each.vips.has(target) || isNameOf(each, target, slug))
  return listTargets(value).flatMap(({ target, index }) => {
    const path = findWay(behind(target), own, behind)
    if (path === null) return []
    const way = [...path, own].map(({ name }) => `'${name}'`).join(' → ')
    const message =
      path.length === 0
        ? `${target} is the balancer's own: its traffic would go round for ever`
        : `${target} leads back to the balancer (${way}): its traffic would go round for ever`
    return [{ field: `members[${index}]`, message }]
  })
}

function listTargets({ members, trafficType }: LoadBalancerValue) {
  return members.flatMap((member, index) => {
    const endpoint = endpointOf(member, trafficType, () => undefined)
    return endpoint === null ? [] : [{ target: endpoint.address, index }]
  })
}

/** `<balancer>.<slug>.<zone>`, whatever the zone is; but not a machine's, in the domain of the project's networks. */
function isNameOf({ name }: Balancer, target: string, slug: string | undefined): boolean {
  if (slug === undefined || target.endsWith(`.${networkDomain(slug)}`)) return false
  return target.startsWith(`${name.toLowerCase()}.${slug}.`)
}

/** The balancers on the way from `from` to `to`, without the last; null: there is none. */
function findWay(
  from: Balancer | undefined,
  to: Balancer,
  behind: (target: string) => Balancer | undefined,
): readonly Balancer[] | null {
  const seen = new Set<string>()
  const walk = (at: Balancer | undefined): readonly Balancer[] | null => {
    if (at === undefined) return null
    if (at.id === to.id) return []
    if (seen.has(at.id)) return null
    seen.add(at.id)
    for (const target of at.targets) {
      const rest = walk(behind(target))
      if (rest !== null) return [at, ...rest]
    }
    return null
  }
  return walk(from)
}
