/**
 * Desired names × a zone as it was seen → the changes that make the zone right. What is ours and not desired goes, what is
 * not ours stays. Pure, and stable: planned again after every change is made, there is nothing to do.
 */

import type { NameChange } from './name-change.ts'
import type { ObservedName, ObservedZone } from './observed-zone.ts'
import { listOwnTexts, loadBalancerOf, ownershipText } from './ownership.ts'

export interface DesiredName {
  readonly loadBalancerId: string
  readonly dnsName: string
  readonly vips: readonly { readonly address: string; readonly verdict: VipVerdict }[]
}

/**
 * `serves`: an instance that has it answers. `lame`: one has it, and all its members are down, so that all that it answers
 * is an error. `unknown`: nothing has been heard yet that would tell. `dead`: nobody has it.
 */
export type VipVerdict = 'serves' | 'lame' | 'unknown' | 'dead'

export interface ZoneSettings {
  readonly owner: string
  readonly ttlSeconds: number
}

export type NameOperation =
  | { readonly kind: 'publish'; readonly loadBalancerId: string; readonly change: NameChange & { after: object } }
  | { readonly kind: 'withdraw'; readonly loadBalancerId: string; readonly change: NameChange }
  /** Somebody else has the name: it is left alone, and the balancer is told of. */
  | { readonly kind: 'yield'; readonly loadBalancerId: string; readonly dnsName: string }

export function planNames(
  desired: readonly DesiredName[],
  zone: Pick<ObservedZone, 'names'>,
  settings: ZoneSettings,
): readonly NameOperation[] {
  const wanted = new Map(desired.map((name) => [name.dnsName, name]))
  const published = desired.flatMap((name) => planName(name, zone.names.get(name.dnsName) ?? null, settings))
  const strays = [...zone.names].flatMap(([dnsName, before]): NameOperation[] => {
    if (wanted.has(dnsName)) return []
    const [text, ...others] = listOwnTexts(before, settings.owner)
    if (text === undefined) return []
    const change = { dnsName, before, after: null, formerTexts: [text, ...others] }
    return [{ kind: 'withdraw', loadBalancerId: loadBalancerOf(text, settings.owner), change }]
  })
  // A name that moves is there under the new one before it goes under the old.
  return [...published, ...strays]
}

function planName(desired: DesiredName, before: ObservedName | null, settings: ZoneSettings): NameOperation[] {
  const { loadBalancerId, dnsName } = desired
  const own = before === null ? [] : listOwnTexts(before, settings.owner)
  if (before !== null && own.length === 0) return [{ kind: 'yield', loadBalancerId, dnsName }]
  const text = ownershipText(settings.owner, loadBalancerId)
  const formerTexts = own.filter((candidate) => candidate !== text)
  // Another balancer's addresses are nobody's to keep.
  const listed = own.includes(text) ? (before?.addresses ?? []) : []
  const addresses = chooseAddresses(desired.vips, listed)
  if (addresses.length === 0) {
    const change = { dnsName, before, after: null, formerTexts: own }
    return before === null ? [] : [{ kind: 'withdraw', loadBalancerId, change }]
  }
  const { ttlSeconds } = settings
  const isRight =
    before !== null &&
    formerTexts.length === 0 &&
    own.length === 1 &&
    before.ttlSeconds === ttlSeconds &&
    Bun.deepEquals(before.addresses, addresses)
  if (isRight) return []
  return [
    {
      kind: 'publish',
      loadBalancerId,
      change: { dnsName, before, after: { addresses, ttlSeconds, text }, formerTexts },
    },
  ]
}

/**
 * Which VIPs a name lists: those that serve; else those that at least answer; else, as nobody knows better than to go on,
 * those that it lists already. One that nothing has been heard of stays as it is. What the balancer has no more is never
 * listed: it may be another's by now.
 */
export function chooseAddresses(vips: DesiredName['vips'], listed: readonly string[]): readonly string[] {
  const by = (verdict: VipVerdict) => vips.filter((vip) => vip.verdict === verdict).map(({ address }) => address)
  const kept = (addresses: readonly string[]) => addresses.filter((address) => listed.includes(address))
  const answering = [by('serves'), by('lame')].find((addresses) => addresses.length > 0)
  const chosen =
    answering === undefined ? kept(vips.map(({ address }) => address)) : [...answering, ...kept(by('unknown'))]
  return chosen.toSorted()
}
