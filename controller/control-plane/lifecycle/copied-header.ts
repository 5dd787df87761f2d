/**
 * What a copied message tells of where it came from: up to which sequence of each source its stream holds a copy. So the
 * last message of a target tells whoever drives the operation where to go on. Pure.
 */

export const copiedHeader = 'Sluice-Copied'

/** By microshard, the sequence up to which it is copied. */
export type CopiedUpTo = Readonly<Record<string, number>>

export const encodeCopied = (positions: CopiedUpTo): string =>
  Object.entries(positions)
    .map(([id, sequence]) => `${id}=${sequence}`)
    .join(',')

export function decodeCopied(text: string): CopiedUpTo {
  const pairs = text.split(',').map((pair) => pair.split('='))
  return Object.fromEntries(pairs.flatMap(([id = '', sequence]) => (id === '' ? [] : [[id, Number(sequence)]])))
}
