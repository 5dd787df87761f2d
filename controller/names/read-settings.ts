/** What the environment says of names: the zone, its server, and the key. Pure, but for the one read of the key's file. */

import { readFile } from 'node:fs/promises'
import { isIPv4, isIPv6 } from 'node:net'
import * as v from 'valibot'
import type { NameSettings } from './name-object.ts'
import { encodeName } from './wire/domain-name.ts'
import type { TsigKey } from './wire/tsig.ts'
import { parseTsigKey } from './wire/tsig-key.ts'
import { WireFault } from './wire/wire-fault.ts'

export interface NameProcessSettings {
  readonly names: NameSettings
  readonly address: string
  readonly port: number
  readonly keyFile: string
}

const portDefault = 53
/** So that the longest label and the longest slug fit before it: a name has at most 253 characters. */
const zoneCharactersMaximum = 253 - 64 - 41
const ttlSecondsMaximum = 3600
const sweepSecondsMaximum = 3600

/** A zone of a name of two labels or more: nobody has a top level for its balancers. */
const zonePattern = /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.?$/
const ownerPattern = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

export const nameEnvironment = {
  /** Balancers are named `<label>.<project's slug>.<zone>`; without it they have no names. */
  SLUICE_DNS_ZONE: v.optional(
    v.pipe(
      v.string(),
      v.toLowerCase(),
      v.regex(zonePattern, 'must be a domain name of two labels or more, as lb.example.net'),
      v.maxLength(zoneCharactersMaximum, `must be at most ${zoneCharactersMaximum} characters long`),
      v.check(isDomainName, 'must be a domain name, as lb.example.net'),
      v.transform((zone) => zone.replace(/\.$/, '')),
    ),
  ),
  /** The server that is in charge of the zone and takes updates. */
  SLUICE_DNS_SERVER: v.optional(
    v.pipe(
      v.string(),
      v.check(
        (text) => parseServer(text) !== null,
        'must be an address, with a port if that is not 53: 192.0.2.53:5353',
      ),
    ),
  ),
  /** Holds one line, `hmac-sha256:<name>:<secret in base 64>`. */
  SLUICE_DNS_KEY_FILE: v.optional(v.pipe(v.string(), v.minLength(1, 'must name a file'))),
  /** How long clients may use what a name listed, and so how long one that is to go waits. */
  SLUICE_DNS_TTL_SECONDS: v.pipe(
    v.optional(v.string(), '10'),
    v.transform(Number),
    v.number('must be a number of seconds'),
    v.integer('must be whole seconds'),
    v.minValue(1, `must be 1 to ${ttlSecondsMaximum} seconds`),
    v.maxValue(ttlSecondsMaximum, `must be 1 to ${ttlSecondsMaximum} seconds`),
  ),
  /** How often it is looked whether the zone still is as it should be. */
  SLUICE_DNS_SWEEP_SECONDS: v.pipe(
    v.optional(v.string(), '30'),
    v.transform(Number),
    v.number('must be a number of seconds'),
    v.minValue(1, `must be 1 to ${sweepSecondsMaximum} seconds`),
    v.maxValue(sweepSecondsMaximum, `must be 1 to ${sweepSecondsMaximum} seconds`),
  ),
  /** Tells the names of this installation from those of others in the same zone. */
  SLUICE_DNS_OWNER: v.pipe(
    v.optional(v.string(), 'sluice'),
    v.regex(ownerPattern, 'must be lower-case letters, digits and hyphens, at most 63'),
  ),
}

interface NameEnvironment {
  readonly SLUICE_DNS_ZONE?: string | undefined
  readonly SLUICE_DNS_SERVER?: string | undefined
  readonly SLUICE_DNS_KEY_FILE?: string | undefined
  readonly SLUICE_DNS_TTL_SECONDS: number
  readonly SLUICE_DNS_SWEEP_SECONDS: number
  readonly SLUICE_DNS_OWNER: string
}

/** Null: no names are kept. Throws where only a part of what is needed is given. */
export function readNameSettings(environment: NameEnvironment): NameProcessSettings | null {
  const needed = ['SLUICE_DNS_ZONE', 'SLUICE_DNS_SERVER', 'SLUICE_DNS_KEY_FILE'] as const
  const missing = needed.filter((name) => environment[name] === undefined)
  const { SLUICE_DNS_ZONE: zone, SLUICE_DNS_SERVER: text, SLUICE_DNS_KEY_FILE: keyFile } = environment
  const server = text === undefined ? null : parseServer(text)
  if (zone === undefined || server === null || keyFile === undefined) {
    if (missing.length === needed.length) return null
    throw new Error(
      `the environment is wrong: ${missing.join(' and ')} must be set too, or none of ${needed.join(', ')}`,
    )
  }
  const {
    SLUICE_DNS_TTL_SECONDS: ttlSeconds,
    SLUICE_DNS_SWEEP_SECONDS: sweepSeconds,
    SLUICE_DNS_OWNER: owner,
  } = environment
  return { names: { zone, ttlSeconds, sweepSeconds, owner }, ...server, keyFile }
}

/** Throws an error that says what is wrong with the file, and none of what is in it. */
export async function readKeyFile(file: string): Promise<TsigKey> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    throw new Error(`the environment is wrong: SLUICE_DNS_KEY_FILE ${file} can not be read`, { cause })
  }
  const parsed = parseTsigKey(text)
  if (parsed.kind === 'key') return parsed.key
  throw new Error(`the environment is wrong: SLUICE_DNS_KEY_FILE ${file}: ${parsed.reason}`)
}

/** @example parseServer('[2001:db8::53]:5353') // { address: '2001:db8::53', port: 5353 } */
export function parseServer(text: string): { readonly address: string; readonly port: number } | null {
  if (isIPv4(text) || isIPv6(text)) return { address: text, port: portDefault }
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  const address = bracketed ?? plain ?? ''
  const port = Number(digits)
  const isAddress = bracketed === undefined ? isIPv4(address) : isIPv6(address)
  return isAddress && port >= 1 && port <= 65_535 ? { address, port } : null
}

function isDomainName(text: string): boolean {
  try {
    return encodeName(text.replace(/\.$/, '')).length > 1
  } catch (error) {
    if (error instanceof WireFault) return false
    throw error
  }
}
