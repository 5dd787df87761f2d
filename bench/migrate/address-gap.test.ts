import { expect, test } from 'bun:test'
import { readAnswers } from './address-gap.ts'

test('the answers of a ping are read with their times, and what is no answer is not', () => {
  const text = [
    'PING 198.18.16.11 (198.18.16.11) from 198.18.16.1 sg0: 56(84) bytes of data.',
    '[1795278677.100200] From 198.18.16.1 icmp_seq=1 Destination Host Unreachable',
    '[1795278677.105000] 64 bytes from 198.18.16.11: icmp_seq=2 ttl=64 time=0.051 ms',
    '[1795278677.110500] 64 bytes from 198.18.16.11: icmp_seq=3 ttl=64 time=0.049 ms',
    '',
  ].join('\n')
  expect(readAnswers(text)).toEqual([1795278677105, 1795278677110.5])
})
