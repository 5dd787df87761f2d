/** MAC addresses from ids: the same object always has the same one, on whichever host. Pure. */

/**
 * A unicast, locally administered address of 40 hashed bits.
 * @param words tell the legs of one object apart: `('lbi_…', 'uplink')`
 * @example macAddressOf('mch_…') // '06:1f:…'
 */
export function macAddressOf(id: string, ...words: readonly string[]): string {
  const text = [id, ...words].join(' ')
  const known = recent.get(text)
  if (known !== undefined) return known
  const digest = new Bun.CryptoHasher('sha256').update(text).digest('hex')
  const address = `06:${digest.slice(0, 10).replace(/..(?!$)/g, '$&:')}`
  if (recent.size >= recentMaximum) recent.clear()
  recent.set(text, address)
  return address
}

/** Every host's statement asks for the same addresses, again with each change. */
const recent = new Map<string, string>()
const recentMaximum = 20_000
