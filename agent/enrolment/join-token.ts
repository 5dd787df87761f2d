/** What a join token says (see contract/enrolment.ts), and the fingerprint that it names. Pure. */

import { X509Certificate } from 'node:crypto'
import * as v from 'valibot'
import { hostNameSchema } from '../contract/host-instructions.ts'

const partsSchema = v.tuple([
  v.literal('sluice-join'),
  hostNameSchema,
  v.pipe(v.string(), v.minLength(1)),
  v.pipe(v.string(), v.minLength(1)),
  v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
])

export interface JoinToken {
  readonly host: string
  readonly tokenId: string
  readonly secret: string
  readonly caFingerprint: string
}

/** Throws where it is none: it may have been cut when it was copied. */
export function parseJoinToken(text: string): JoinToken {
  const parsed = v.safeParse(partsSchema, text.trim().split('.'))
  if (!parsed.success) {
    throw new Error(
      'this is no whole join token: it has five parts, sluice-join.<host>.<id>.<secret>.<fingerprint>, as ' +
        "'sluice host add' printed it",
    )
  }
  const [, host, tokenId, secret, caFingerprint] = parsed.output
  return { host, tokenId, secret, caFingerprint }
}

/** Hex SHA-256 of a PEM certificate's DER. */
export const fingerprintOf = (certificate: string): string =>
  new X509Certificate(certificate).fingerprint256.replaceAll(':', '').toLowerCase()
