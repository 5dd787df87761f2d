/**
 * A self-signed certificate for one run, as go-plugin's AutoMTLS has it: P-256, for `localhost`, a certificate authority
 * of its own. Written out in DER, since a library for it would take longer to load than all the rest of the start.
 */

import { generateKeyPairSync, sign } from 'node:crypto'

export type Certificate = { readonly der: Uint8Array; readonly pem: string; readonly keyPem: string }

const hour = 3_600_000

export function createCertificate(now: Date, serial: Uint8Array): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = sequence(set(sequence(objectId('550403'), element(0x0c, Buffer.from('localhost')))))
  const validity = sequence(time(now.getTime() - hour), time(now.getTime() + 30 * 24 * hour))
  const body = sequence(
    element(0xa0, integer(Uint8Array.of(2))),
    integer(serial),
    ecdsaWithSha256,
    name,
    validity,
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    element(0xa3, sequence(...extensions)),
  )
  const signature = sign('sha256', body, privateKey)
  const der = sequence(body, ecdsaWithSha256, bitString(signature, 0))
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return {
    der,
    pem: ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n'),
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

function element(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents)
  const { length } = content
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, Math.floor(length / 0x100), length % 0x100]
  return Buffer.concat([Uint8Array.from([tag, ...size]), content])
}

const sequence = (...contents: readonly Uint8Array[]) => element(0x30, ...contents)
const set = (...contents: readonly Uint8Array[]) => element(0x31, ...contents)
/** A zero in front keeps a first byte with its high bit set from being a sign. */
const integer = (bytes: Uint8Array) =>
  element(0x02, (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Uint8Array.of(0), bytes]) : bytes)
const objectId = (hex: string) => element(0x06, Buffer.from(hex, 'hex'))
const bitString = (bytes: Uint8Array, unusedBits: number) => element(0x03, Uint8Array.of(unusedBits), bytes)
const time = (milliseconds: number) =>
  element(0x18, Buffer.from(`${new Date(milliseconds).toISOString().replaceAll(/[-:T]|\.\d+/g, '')}`))

const ecdsaWithSha256 = sequence(objectId('2a8648ce3d040302'))
const extension = (id: string, value: Uint8Array, isCritical: boolean) =>
  sequence(objectId(id), ...(isCritical ? [element(0x01, Uint8Array.of(0xff))] : []), element(0x04, value))

const extensions = [
  // What the key may do: sign, encipher keys, agree on keys, sign certificates.
  extension('551d0f', bitString(Uint8Array.of(0b1010_1100), 2), true),
  extension('551d25', sequence(objectId('2b06010505070302'), objectId('2b06010505070301')), false),
  extension('551d13', sequence(element(0x01, Uint8Array.of(0xff))), true),
  extension('551d11', sequence(element(0x82, Buffer.from('localhost'))), false),
]
