/** What a network's bridge is called on every host: whoever gives a domain an interface names it. Pure. */

import { createHash } from 'node:crypto'

/** The kernel takes 15 characters for a link, and ends them with a zero in some of its tables. */
const charactersMaximum = 14

export function shortLinkName(prefix: string, id: string): string {
  return `${prefix}${createHash('sha256').update(id).digest('hex')}`.slice(0, charactersMaximum)
}

export const bridgeName = (networkId: string) => shortLinkName('sb', networkId)
