/**
 * Where an object lives: its point on the 64-bit key ring, and the ids from which that point follows.
 * Pure; knows nothing of microshards or of JetStream.
 *
 * A shard key is 16 hex digits: 32 bits of the client, 16 of the data type, 16 of the time window. Named objects have no
 * time bits, so that an id alone finds them. An id is `<prefix>_<7 characters: the client's 32 bits><18 characters>`,
 * in Crockford's base 32, lower case; what follows the client is time-ordered and random, or the hash of a name.
 */

export type ShardKey = string

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
const clientCharacters = 7
const restCharacters = 18
const timeWindowMilliseconds = 3_600_000

/** Every id of ours, whatever its kind. The agent takes a namespace for ours by this very form. */
export const idPattern = /^[a-z]{2,4}_[0-9a-hjkmnp-tv-z]{25}$/

/** The 32-bit FNV-1a hash of a text: spreads clients and data types over the ring, and never changes. */
function hash32(text: string): number {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  // FNV's upper bits are poor on short texts, and the upper bits are what the ring is cut by: finish with a mixer.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b) >>> 0
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35) >>> 0
  return (hash ^ (hash >>> 16)) >>> 0
}

/** The last bits of the bytes, five a character. */
function encodeBase32(bytes: Uint8Array, characters: number): string {
  const codes = Buffer.allocUnsafe(characters)
  let pending = 0
  let pendingBits = 0
  let next = bytes.length
  for (let i = characters - 1; i >= 0; i--) {
    if (pendingBits < 5 && next > 0) {
      pending |= (bytes[--next] ?? 0) << pendingBits
      pendingBits += 8
    }
    codes[i] = alphabet.charCodeAt(pending & 31)
    pending >>>= 5
    pendingBits -= 5
  }
  return codes.toString('latin1')
}

const encodeClient = (bits: number) =>
  encodeBase32(Uint8Array.of(bits >>> 24, bits >>> 16, bits >>> 8, bits), clientCharacters)

const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0')

/** The four digits of each data type: those are few, and asked for with each write. */
const dataTypeDigits = new Map<string, string>()

function digitsOfDataType(dataType: string): string {
  const digits = dataTypeDigits.get(dataType) ?? hex(hash32(dataType) >>> 16, 4)
  dataTypeDigits.set(dataType, digits)
  return digits
}

/** Of an id of ours: the same for all ids of one client, whatever their kinds. */
export function clientCharactersOf(id: string): string {
  const from = id.indexOf('_') + 1
  return id.slice(from, from + clientCharacters)
}

/** The client's 32 bits: read from an id of ours, hashed from any other name (a user, `system`). */
export function clientBits(clientId: string): number {
  if (!idPattern.test(clientId)) return hash32(clientId)
  let bits = 0
  for (const character of clientId.slice(clientId.indexOf('_') + 1).slice(0, clientCharacters)) {
    bits = bits * 32 + alphabet.indexOf(character)
  }
  return bits % 2 ** 32
}

/**
 * The point on the ring of what a client keeps of one data type. With a timestamp (streams in time: events, actions,
 * measures) the last 16 bits are its hour, else zero.
 * @param timestamp milliseconds since the epoch
 * @example getShardKey('system', 'host') // '5d4c…0000': 16 hex digits
 */
export function getShardKey(clientId: string, dataType: string, timestamp?: number): ShardKey {
  const window = timestamp === undefined ? 0 : Math.floor(timestamp / timeWindowMilliseconds) % 65536
  return `${hex(clientBits(clientId), 8)}${digitsOfDataType(dataType)}${window === 0 ? '0000' : hex(window, 4)}`
}

/** What the ids of a client's objects begin with: its objects of one kind are neighbours in the order of ids. */
export function clientIdPrefix(prefix: string, clientId: string): string {
  return `${prefix}_${encodeClient(clientBits(clientId))}`
}

/** When an id was made by `createId`, in milliseconds since the epoch; null for what is not an id of ours. */
export function timeOfId(id: string): number | null {
  if (!idPattern.test(id)) return null
  let value = 0n
  for (const character of id.slice(-restCharacters)) value = (value << 5n) | BigInt(alphabet.indexOf(character))
  return Number(value >> 40n)
}

/** A new id: time-ordered within its client. `random` returns that many random bytes. */
export function createId(
  prefix: string,
  clientId: string,
  now: number,
  random: (bytes: number) => Uint8Array = (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
): string {
  const rest = new Uint8Array(11)
  for (let i = 5, time = now; i >= 0; i--, time = Math.floor(time / 256)) rest[i] = time % 256
  rest.set(random(5), 6)
  return `${prefix}_${encodeClient(clientBits(clientId))}${encodeBase32(rest, restCharacters)}`
}

/** A new client's id (a project's): its ring bits are random, so that clients spread over the ring. */
export function createClientId(
  prefix: string,
  now: number,
  random: (bytes: number) => Uint8Array = (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
): string {
  const bits = random(4).reduce((value, byte) => value * 256 + byte, 0)
  const client = encodeClient(bits)
  return `${prefix}_${client}${createId(prefix, 'any', now, random).slice(prefix.length + 1 + clientCharacters)}`
}

/** The id of what is found by a name: the same words always give the same id, so creating it twice is a conflict. */
export function createNamedId(prefix: string, clientId: string, ...words: readonly string[]): string {
  const digest = Bun.CryptoHasher.hash('sha256', JSON.stringify(words))
  return `${prefix}_${encodeClient(clientBits(clientId))}${encodeBase32(digest.subarray(0, 11), restCharacters)}`
}
