/** MAC addresses from ids: the same object always has the same one, on whichever host. Pure. */

/**
 * A unicast, locally administered address of 40 hashed bits.
 * @param words tell the legs of one object apart: `('lbi_…', 'uplink')`
 * @example macAddressOf('mch_…') // '06:1f:…'
 */
export function macAddressOf(id: string, ...words: readonly string[]): string {
  const digest = new Bun.CryptoHasher('sha256').update([id, ...words].join(' ')).digest()
  return ['06', ...[...digest.subarray(0, 5)].map((byte) => byte.toString(16).padStart(2, '0'))].join(':')
}
