import { describe, expect, test } from 'bun:test'
import { createTestRack, makeTestReport } from '../test-rack.ts'
import { judgeHosts } from './judge-hosts.ts'
import { readSnapshot } from './snapshot.ts'

const now = 1_000_000

describe('a host is', () => {
  test.each<[string, { receivedAt: number | null; listeningSince: number }, string]>([
    ['heard, when its report came a moment ago', { receivedAt: now - 4_000, listeningSince: 0 }, 'heard'],
    ['silent, when it did not', { receivedAt: now - 6_000, listeningSince: 0 }, 'silent'],
    [
      'silent, when it never came though it was listened to',
      { receivedAt: null, listeningSince: now - 6_000 },
      'silent',
    ],
    ['unheard, when nobody has listened for long', { receivedAt: null, listeningSince: now - 4_000 }, 'unheard'],
    ['unheard, and not heard by an old report', { receivedAt: now - 60_000, listeningSince: now - 100 }, 'unheard'],
    ['heard, when it has reported since nobody listened', { receivedAt: now - 50, listeningSince: now - 100 }, 'heard'],
  ])('%s', async (_, { receivedAt, listeningSince }, expected) => {
    const rack = await createTestRack(['a'])
    const report = makeTestReport('a', undefined, () => [])
    const get = () => (receivedAt === null ? undefined : { report, receivedAt })
    const [host] = judgeHosts(readSnapshot(rack.store), { get, listeningSince }, now).values()
    expect(host?.hearing.kind).toBe(expected as 'heard')
  })
})
