/**
 * Whose a name is: a text beside its addresses says which installation keeps it, and for which balancer. What has none of
 * ours is never touched. Pure.
 */

import type { ObservedName } from './observed-zone.ts'

/** @param owner of the installation; several may share a zone */
export const ownershipText = (owner: string, loadBalancerId: string): string =>
  `heritage=sluice,owner=${owner},load-balancer=${loadBalancerId}`

/** Ours among a name's texts, in the order in which they are there. */
export function listOwnTexts({ texts }: ObservedName, owner: string): readonly string[] {
  const beginning = ownershipText(owner, '')
  return texts.filter((text) => text.startsWith(beginning))
}

/** The balancer that a text of ours names. */
export const loadBalancerOf = (text: string, owner: string): string => text.slice(ownershipText(owner, '').length)
