import { describe, expect, test } from 'bun:test'
import ssh2 from 'ssh2'
import { deriveSshKey } from './ssh-keys.ts'

const secret = Buffer.from('a secret of the rack')

describe('a key for ssh', () => {
  test('is the same for the same purpose, and another for another', () => {
    expect(deriveSshKey(secret, 'host-key lbi_1')).toEqual(deriveSshKey(secret, 'host-key lbi_1'))
    expect(deriveSshKey(secret, 'host-key lbi_2').publicKey).not.toBe(deriveSshKey(secret, 'host-key lbi_1').publicKey)
    expect(deriveSshKey(Buffer.from('another'), 'host-key lbi_1').publicKey).not.toBe(
      deriveSshKey(secret, 'host-key lbi_1').publicKey,
    )
  })

  test('is read by others as a pair that signs and verifies', () => {
    for (let i = 0; i < 20; i++) {
      const { publicKey, privateKey } = deriveSshKey(secret, `${i}`)
      const own = ssh2.utils.parseKey(privateKey)
      const shown = ssh2.utils.parseKey(publicKey)
      if (own instanceof Error || shown instanceof Error) throw new Error(`${own} ${shown}`)
      expect(own.isPrivateKey()).toBe(true)
      expect(shown.verify('words', own.sign('words'))).toBe(true)
    }
  })
})
