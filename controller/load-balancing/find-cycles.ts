/**
 * Whether a balancer's traffic would come back to it: a member that is one of its own VIPs or its own name, or those of
 * another balancer, of whichever project, whose traffic does. Reads the store. What leads back by names that are not ours
 * can't be seen here: haproxy refuses such a request when it meets it again.
 */

import { networkDomain } from '../address-space/networks.ts'
import type { Store } from '../control-plane/store.ts'
import { makeLabel } from '../names/label.ts'
import { loadBalancerNameKind } from '../names/name-object.ts'
import { type LoadBalancerValue, loadBalancerKind, loadBalancerSlotsKind, projectKind } from '../objects.ts'
import { endpointOf, isNamed, type MemberFault } from './members.ts'

interface Balancer {
  readonly id: string
  readonly value: LoadBalancerValue
}

/** The balancer that an address or a name leads to. */
type FindBehind = (target: string) => Balancer | undefined

/** @param id the balancer's own, which may not be in the store yet */
export function findCycleFaults(
  store: Pick<Store, 'snapshot'>,
  id: string,
  value: LoadBalancerValue,
): readonly MemberFault[] {
  const own: Balancer = { id, value }
  const behind = indexBalancers(store, own)
  // Who asks is told the names of its own project's balancers alone.
  const nameOf = (one: Balancer) =>
    one.value.projectId === value.projectId ? `'${one.value.name}'` : 'one of another project'
  return listTargets(value).flatMap(({ target, index }) => {
    const path = findWay(behind(target), own, behind)
    if (path === null) return []
    const way = [...path, own].map(nameOf).join(' → ')
    const message =
      path.length === 0
        ? `${target} is the balancer's own: its traffic would go round for ever`
        : `${target} leads back to the balancer (${way}): its traffic would go round for ever`
    return [{ field: `members[${index}]`, message }]
  })
}

function indexBalancers(store: Pick<Store, 'snapshot'>, own: Balancer): FindBehind {
  const all = new Map(store.snapshot(loadBalancerKind).map((each): [string, Balancer] => [each.id, each]))
  all.set(own.id, own)
  const byVip = new Map(
    store.snapshot(loadBalancerSlotsKind).flatMap(({ id, value }) => value.slots.map(({ vip }) => [vip, id] as const)),
  )
  let byName: ReadonlyMap<string, string> | undefined
  return (target) => {
    if (!isNamed({ address: target, port: null })) return all.get(byVip.get(target) ?? '')
    byName ??= indexNames(store, [...all.values()])
    const [label = '', slug = ''] = target.toLowerCase().split('.', 2)
    // A machine's, in the domain of its project's networks.
    if (target.toLowerCase().endsWith(`.${networkDomain(slug)}`)) return undefined
    return all.get(byName.get(`${label}.${slug}`) ?? '')
  }
}

/** By `<label>.<slug>`, whatever the zone is. */
function indexNames(store: Pick<Store, 'snapshot'>, balancers: readonly Balancer[]): ReadonlyMap<string, string> {
  const slugs = new Map(store.snapshot(projectKind).map((project) => [project.id, project.value.slug]))
  const recorded = new Map(store.snapshot(loadBalancerNameKind).map((name) => [name.id, name.value.label]))
  return new Map(
    balancers.map(({ id, value }) => [
      `${recorded.get(id) ?? makeLabel(value.name)}.${slugs.get(value.projectId) ?? ''}`,
      id,
    ]),
  )
}

function listTargets({ members, trafficType }: LoadBalancerValue) {
  return members.flatMap((member, index) => {
    const endpoint = endpointOf(member, trafficType, () => undefined)
    return endpoint === null ? [] : [{ target: endpoint.address, index }]
  })
}

/** The balancers on the way from `from` to `to`, without the last; null: there is none. */
function findWay(from: Balancer | undefined, to: Balancer, behind: FindBehind): readonly Balancer[] | null {
  const seen = new Set<string>()
  const walk = (at: Balancer | undefined): readonly Balancer[] | null => {
    if (at === undefined) return null
    if (at.id === to.id) return []
    if (seen.has(at.id)) return null
    seen.add(at.id)
    for (const { target } of listTargets(at.value)) {
      const rest = walk(behind(target))
      if (rest !== null) return [at, ...rest]
    }
    return null
  }
  return walk(from)
}
