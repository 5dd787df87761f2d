import { describe, expect, test } from 'bun:test'
import type { Escalation } from '../../controller/contract/escalation.ts'
import { describeEscalation } from './escalation.ts'

const escalation: Escalation = {
  id: `esc_${'0'.repeat(25)}`,
  projectId: null,
  shardKey: '0'.repeat(16),
  version: 1,
  status: 'open',
  action: {
    actionType: 'updateNetwork',
    dataType: 'network',
    payload: { parameters: {}, query: {}, body: { name: 'front' } },
    currentVersion: 1,
  },
  clash: {
    kind: 'network',
    id: 'net_1',
    reason: 'sameField',
    baseVersion: 1,
    latestVersion: 2,
    differences: [{ field: 'name', base: 'web', wanted: 'front', latest: 'shop' }],
  },
  raisedBy: 'tok_1',
  raisedAt: '2030-01-01T00:00:00.000Z',
  resolution: null,
  updatedAt: '2030-01-01T00:00:00.000Z',
}

describe('an escalation is described', () => {
  test('by what clashes with what, and what can be done', () => {
    expect(describeEscalation(escalation)).toBe(
      [
        'updateNetwork of network net_1',
        'asked for by tok_1 at 2030-01-01T00:00:00.000Z: somebody else changed the same',
        'it waits for a decision: retry, edit or discard it',
        '',
        'FIELD  DECIDED ON (VERSION 1)  WANTED  NOW (VERSION 2)',
        'name   web                     front   shop',
      ].join('\n'),
    )
  })

  test('by what was decided', () => {
    const resolution = { kind: 'retried', by: 'tok_2', at: '2030-01-01T00:01:00.000Z', version: 3 } as const
    expect(describeEscalation({ ...escalation, status: 'resolved', resolution })).toContain(
      'retried by tok_2 at 2030-01-01T00:01:00.000Z, which made version 3',
    )
  })
})
