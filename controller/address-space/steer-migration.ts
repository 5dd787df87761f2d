/** What cancel, rollback and resume make of a migration, from how it stands. Pure. */

import type { MigrationAction } from '../contract/migration.ts'
import type { Problem } from '../contract/problem.ts'
import type { MigrationValue } from '../objects.ts'
import { statusOf } from './view-migration.ts'

export type Steering =
  /** It is so already. */
  | { readonly kind: 'keep' }
  | {
      readonly kind: 'steer'
      readonly wanted: MigrationValue['wanted']
      /** It had ended, so that its shard gives addresses again and has to be marked anew. */
      readonly marksShard: boolean
      /** Those that failed are tried again. */
      readonly resetsMoves: boolean
    }
  | { readonly kind: 'refuse'; readonly problem: Problem }

/** @example steerMigration('mig_…', value, 'cancel') */
export function steerMigration(
  id: string,
  value: Pick<MigrationValue, 'status' | 'wanted'>,
  action: MigrationAction,
): Steering {
  switch (action) {
    case 'cancel':
      return steerCancel(id, value)
    case 'rollback':
      return steerRollback(id, value)
    case 'resume':
      return steerResume(id, value)
    default:
      return action satisfies never
  }
}

type Standing = Pick<MigrationValue, 'status' | 'wanted'>

function steerCancel(id: string, value: Standing): Steering {
  const status = statusOf(value)
  switch (status) {
    case 'cancelling':
    case 'cancelled':
      return { kind: 'keep' }
    case 'running':
    case 'blocked':
      return { kind: 'steer', wanted: 'cancel', marksShard: false, resetsMoves: false }
    case 'rolling-back':
      return refuseAction(id, value, 'cancelled', 'It ends when all are back; what has moved is going back.')
    case 'rolled-back':
    case 'done':
      return refuseAction(id, value, 'cancelled', 'It has ended: nothing has to be done.')
    default:
      return status satisfies never
  }
}

function steerRollback(id: string, value: Standing): Steering {
  const status = statusOf(value)
  switch (status) {
    case 'rolling-back':
    case 'rolled-back':
      return { kind: 'keep' }
    case 'running':
    case 'cancelling':
    case 'blocked':
    case 'cancelled':
      return { kind: 'steer', wanted: 'rollback', marksShard: status === 'cancelled', resetsMoves: false }
    case 'done':
      return refuseAction(
        id,
        value,
        'rolled back',
        'Its shard has left the network: allocate it there again, and migrate the shard that its holders are in now.',
      )
    default:
      return status satisfies never
  }
}

function steerResume(id: string, value: Standing): Steering {
  const status = statusOf(value)
  switch (status) {
    case 'running':
      return { kind: 'keep' }
    case 'cancelling':
    case 'blocked':
    case 'cancelled':
      return { kind: 'steer', wanted: 'run', marksShard: status === 'cancelled', resetsMoves: true }
    case 'rolling-back':
      return refuseAction(id, value, 'resumed', 'Wait until all are back, and start another migration then.')
    case 'rolled-back':
    case 'done':
      return refuseAction(id, value, 'resumed', 'It has ended: start another migration of the shard.')
    default:
      return status satisfies never
  }
}

function refuseAction(id: string, value: Standing, participle: string, remedy: string): Steering {
  const status = statusOf(value)
  return {
    kind: 'refuse',
    problem: {
      code: 'conflict',
      title: `The migration can not be ${participle}`,
      detail: `The migration ${id} is ${status}.`,
      remedy,
      errors: [{ field: 'id', message: `is ${status}, and can not be ${participle}` }],
    },
  }
}
