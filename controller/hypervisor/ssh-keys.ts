/**
 * Keys for ssh, made of the rack's secret and what they are for: the same each time, so that none has to be stored, handed
 * from one controller to another, or asked for by an agent that has to know whom it speaks to. Pure.
 */

import { createHmac, createPrivateKey, createPublicKey } from 'node:crypto'

export interface SshKey {
  /** `ssh-ed25519 AAAA…`, as in authorized_keys and known_hosts. */
  readonly publicKey: string
  /** As OpenSSH's own files, without a passphrase. */
  readonly privateKey: string
}

/** `purpose` names one key among all that are made of the secret, e.g. `host-key lbi_…`. */
export function deriveSshKey(secret: Uint8Array, purpose: string): SshKey {
  const seed = createHmac('sha256', secret).update(`sluice ssh ${purpose}`).digest()
  const point = publicPointOf(seed)
  const publicBlob = Buffer.concat([text(algorithm), field(point)])
  return { publicKey: `${algorithm} ${publicBlob.toString('base64')}`, privateKey: formatPrivateKey(seed, point) }
}

const algorithm = 'ssh-ed25519'

/** RFC 8410: what comes before the seed of an Ed25519 key in PKCS #8. */
const pkcs8Head = Buffer.from('302e020100300506032b657004220420', 'hex')
const spkiHeadBytes = 12

function publicPointOf(seed: Buffer): Buffer {
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Head, seed]), format: 'der', type: 'pkcs8' })
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(spkiHeadBytes)
}

const blockBytes = 8

/** OpenSSH's PROTOCOL.key, unencrypted: the older sshd that Debian has reads Ed25519 in no other form. */
function formatPrivateKey(seed: Buffer, point: Buffer): string {
  // Two equal numbers tell a reader that it has decrypted well, which is nothing here.
  const check = point.subarray(0, 4)
  const secretPart = Buffer.concat([
    check,
    check,
    text(algorithm),
    field(point),
    field(Buffer.concat([seed, point])),
    text(''),
  ])
  const padding = Buffer.from(
    Array.from({ length: (blockBytes - (secretPart.length % blockBytes)) % blockBytes }, (_, index) => index + 1),
  )
  const whole = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    text('none'),
    text('none'),
    text(''),
    number(1),
    field(Buffer.concat([text(algorithm), field(point)])),
    field(Buffer.concat([secretPart, padding])),
  ])
  const lines = whole.toString('base64').match(/.{1,70}/g) ?? []
  return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join('\n')
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

const field = (bytes: Uint8Array) => Buffer.concat([number(bytes.length), bytes])
const text = (words: string) => field(Buffer.from(words))
