/** A DNS label made from a name, which is free text. Pure. */

/**
 * @param charactersMaximum so many that a part of an id fits behind it: a label has at most 63
 * @param otherwise what it is when nothing of the name can be in a label
 * @example makeDnsLabel('Web Shop (EU)', 33, 'project') // 'web-shop-eu'
 */
export function makeDnsLabel(name: string, charactersMaximum: number, otherwise: string): string {
  const words = name
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[\u0300-\u036f']/g, '')
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '')
  return words.join('-').slice(0, charactersMaximum).replace(/-$/, '') || otherwise
}
