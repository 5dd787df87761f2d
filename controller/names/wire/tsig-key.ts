/**
 * A key for signatures as one line, in the form that `keymgr -t` prints first and that `kdig -k` and `knsupdate -k` take:
 * `hmac-sha256:<name>:<secret in base 64>`. Pure.
 */

import { encodeName } from './domain-name.ts'
import { type TsigKey, tsigAlgorithm } from './tsig.ts'
import { WireFault } from './wire-fault.ts'

export type ParsedKey =
  | { readonly kind: 'key'; readonly key: TsigKey }
  | { readonly kind: 'malformed'; readonly reason: string }

/** RFC 8945, 6: a secret should not be shorter than what the algorithm gives; the RFC's least is half of it. */
const secretBytesLeast = 16

/** Never says any of the secret. Lines that begin with `#` are comments, but `keymgr` puts the key itself behind one. */
export function parseTsigKey(text: string): ParsedKey {
  const [line = ''] = text.split('\n').flatMap((raw) => (raw.replace(/^#/, '').trim() === '' ? [] : [raw]))
  const parts = line.replace(/^#\s*/, '').trim().split(':')
  const [algorithm, name, secret] = parts
  if (parts.length !== 3 || algorithm === undefined || name === undefined || secret === undefined) {
    return malformed('it must be one line, as hmac-sha256:name:secret')
  }
  if (algorithm !== tsigAlgorithm) return malformed(`its algorithm must be ${tsigAlgorithm}, and is '${algorithm}'`)
  if (!isDomainName(name)) return malformed(`its name '${name}' is no domain name`)
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(secret) || secret.length % 4 !== 0) {
    return malformed('its secret is not base 64')
  }
  const bytes = new Uint8Array(Buffer.from(secret, 'base64'))
  if (bytes.length < secretBytesLeast) {
    return malformed(`its secret has ${bytes.length} bytes, and must have at least ${secretBytesLeast}`)
  }
  return { kind: 'key', key: { name: name.toLowerCase().replace(/\.$/, ''), secret: bytes } }
}

const malformed = (reason: string): ParsedKey => ({ kind: 'malformed', reason })

function isDomainName(text: string): boolean {
  try {
    return encodeName(text.replace(/\.$/, '')).length > 1
  } catch (error) {
    if (error instanceof WireFault) return false
    throw error
  }
}
