import { expect, test } from 'bun:test'
import type { PrefetchView } from '../../controller/contract/prefetch.ts'
import type { Api, ApiRequest } from '../api.ts'
import { describePrefetch, predictionCommand } from './prediction.ts'

const view: PrefetchView = {
  isOn: true,
  logsActions: false,
  isAllowedHere: true,
  ageSecondsMaximum: 30,
  bytes: 2048,
  bytesMaximum: 4096,
  reads: {
    hits: 3,
    prefetchedHits: 5,
    joined: 1,
    misses: { absent: 1, outdated: 1 },
    prefetched: 8,
    prefetchedServed: 5,
    prefetchedInVain: 2,
    savedMilliseconds: 40,
    prefetchMilliseconds: 16,
    oldestServedMilliseconds: 900,
  },
  model: { users: 2, contexts: 40, actionTypes: 7, sequence: 12 },
  log: { written: 12, lost: 0 },
  entries: [
    {
      microshard: 'm1',
      actionType: 'showNetwork',
      audience: 'admin',
      parameters: { id: 'net_1' },
      query: { version: '3' },
      source: 'network/net_1',
      version: 4,
      readAt: '2030-01-01T09:00:00Z',
      ageSeconds: 1.25,
      bytes: 100,
      timesServed: 0,
      reason: 'prefetched',
      userAccountId: 'tok_1',
      probability: 0.875,
      valueMilliseconds: 3,
    },
  ],
}

test('what is kept is told by what it was good for, and each read by why it is there', () => {
  expect(describePrefetch(view).split('\n')).toEqual([
    'keeping reads and reading ahead: on; the log of actions: off',
    'out of memory: 5 that were read ahead, 3 others; read anew: 2',
    'read ahead: 8, of which 5 were asked for and 2 were in vain',
    'waiting saved: 40.0 ms; spent on reading ahead: 16.0 ms',
    'memory: 2048 of 4096 bytes; learned: 2 users, 7 actions',
    '',
    'READ         OF     ASKED      VERSION  AGE    SERVED  BECAUSE',
    'showNetwork  net_1  version=3  4        1.3 s  0       it was 87.5 % likely',
  ])
})

const rows: readonly (readonly [readonly string[], object])[] = [
  [['prefetch', 'off'], { method: 'PATCH', body: { isOn: false } }],
  [['prefetch', 'on', '--log'], { method: 'PATCH', body: { logsActions: true } }],
  [['prefetch', 'show'], { method: 'GET', path: '/v1/prediction/prefetch' }],
]
for (const [words, request] of rows) {
  test(`${words.join(' ')} asks for it`, async () => {
    const asked: ApiRequest[] = []
    const api: Pick<Api, 'call'> = {
      async call(one) {
        asked.push(one)
        return view
      },
    }
    await predictionCommand(() => api as Api).parseAsync([...words, '--json'], { from: 'user' })
    expect(asked).toMatchObject([request])
  })
}

test('what comes next is asked after what is told, oldest first', async () => {
  const asked: ApiRequest[] = []
  const api: Pick<Api, 'call'> = {
    async call(one) {
      asked.push(one)
      return [{ actionType: 'showNetwork', probability: 0.5 }]
    },
  }
  await predictionCommand(() => api as Api).parseAsync(['next', 'tok_1', 'listNetworks', 'showNetwork'], {
    from: 'user',
  })
  expect(asked).toMatchObject([
    {
      body: { userAccountId: 'tok_1', recentActions: [{ actionType: 'listNetworks' }, { actionType: 'showNetwork' }] },
    },
  ])
})
