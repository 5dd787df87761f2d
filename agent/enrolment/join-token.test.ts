import { describe, expect, test } from 'bun:test'
import { parseJoinToken } from './join-token.ts'

const fingerprint = 'ab'.repeat(32)

describe('a join token', () => {
  test('names its host, its id, its secret and the authority to trust', () => {
    expect(parseJoinToken(`sluice-join.host-1.jtk_x.s3cret.${fingerprint}\n`)).toEqual({
      host: 'host-1',
      tokenId: 'jtk_x',
      secret: 's3cret',
      caFingerprint: fingerprint,
    })
  })

  const wrong: readonly [string, string][] = [
    ['that was cut when it was copied', `sluice-join.host-1.jtk_x.s3cret.${fingerprint.slice(1)}`],
    ['of another sort', `slt_host-1.jtk_x.s3cret.${fingerprint}`],
    ['with a part too few', `sluice-join.host-1.jtk_x.${fingerprint}`],
    ['for a name that no host can have', `sluice-join.Host_1.jtk_x.s3cret.${fingerprint}`],
    ['that is empty', ''],
  ]
  for (const [sentence, text] of wrong) {
    test(`${sentence} is refused`, () => expect(() => parseJoinToken(text)).toThrow('this is no whole join token'))
  }
})
