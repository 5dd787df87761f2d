import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type MigrationAction, migrationActions } from '../contract/migration.ts'
import type { MigrationValue } from '../objects.ts'
import { steerMigration } from './steer-migration.ts'
import { statusOf } from './view-migration.ts'

type Standing = Pick<MigrationValue, 'status' | 'wanted'>

/** What becomes of it: the status that is shown then, `as it is`, or `refused`. */
function outcome(standing: Standing, action: MigrationAction): string {
  const steering = steerMigration('mig_1', standing, action)
  switch (steering.kind) {
    case 'keep':
      return 'as it is'
    case 'refuse':
      return 'refused'
    case 'steer': {
      const more = `${steering.marksShard ? ', marked' : ''}${steering.resetsMoves ? ', again' : ''}`
      return `${statusOf({ status: 'running', wanted: steering.wanted })}${more}`
    }
    default:
      return steering satisfies never
  }
}

const rows: readonly (readonly [string, Standing, string, string, string])[] = [
  ['running', { status: 'running', wanted: 'run' }, 'cancelling', 'rolling-back', 'as it is'],
  ['cancelling', { status: 'running', wanted: 'cancel' }, 'as it is', 'rolling-back', 'running, again'],
  ['rolling back', { status: 'running', wanted: 'rollback' }, 'refused', 'as it is', 'refused'],
  ['blocked', { status: 'blocked', wanted: 'run' }, 'cancelling', 'rolling-back', 'running, again'],
  [
    'blocked on its way back',
    { status: 'blocked', wanted: 'rollback' },
    'cancelling',
    'rolling-back',
    'running, again',
  ],
  [
    'cancelled',
    { status: 'cancelled', wanted: 'cancel' },
    'as it is',
    'rolling-back, marked',
    'running, marked, again',
  ],
  ['rolled back', { status: 'rolled-back', wanted: 'rollback' }, 'refused', 'as it is', 'refused'],
  ['done', { status: 'done', wanted: 'run' }, 'refused', 'refused', 'refused'],
]

describe('a migration that is', () => {
  for (const [name, standing, cancelled, rolledBack, resumed] of rows) {
    test(`${name}: cancel makes it ${cancelled}, rollback ${rolledBack}, resume ${resumed}`, () => {
      expect(migrationActions.map((action) => outcome(standing, action))).toEqual([cancelled, rolledBack, resumed])
    })
  }
})

test('asked for again, it is as it was asked for', () => {
  const standings = fc.constantFrom(...rows.map(([, standing]) => standing))
  fc.assert(
    fc.property(standings, fc.constantFrom(...migrationActions), (standing, action) => {
      const steering = steerMigration('mig_1', standing, action)
      if (steering.kind !== 'steer') return
      expect(outcome({ status: 'running', wanted: steering.wanted }, action)).toBe('as it is')
    }),
  )
})

test('a refusal names the migration, how it stands, and what to do', () => {
  const steering = steerMigration('mig_1', { status: 'done', wanted: 'run' }, 'rollback')
  if (steering.kind !== 'refuse') throw new Error('it was not refused')
  expect(steering.problem).toMatchObject({ code: 'conflict', detail: 'The migration mig_1 is done.' })
  expect(steering.problem.remedy).toContain('migrate the shard that its holders are in now')
})
