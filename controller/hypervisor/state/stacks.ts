/** Stacks as people and programs see them: listed, shown, with whoever holds them. Reads the store. */

import { refuseNotFound } from '../../access/problems.ts'
import { listObjects } from '../../access/view.ts'
import type { Page } from '../../contract/common.ts'
import { type Outcome, succeed } from '../../contract/problem.ts'
import type { Stack } from '../../contract/stack.ts'
import type { Store, StoredObject } from '../../control-plane/store.ts'
import type { ListQuery, RequestInfo } from '../../services.ts'
import { readStack, type StackPlace } from './stack-change.ts'
import { type StackStateValue, type StackValue, stackKind, stackStateKind } from './stack-kinds.ts'
import { viewState } from './states.ts'

export async function showStack(store: Store, place: StackPlace): Promise<Outcome<Stack>> {
  const { stack, state } = await readStack(store, place)
  return stack === null ? refuseNotFound('stack', place.name) : succeed(viewStack(stack, state))
}

/** In the order of ids. */
export function listStacks(
  store: Store,
  query: Pick<ListQuery, 'after' | 'limit' | 'projectId'>,
  request: Pick<RequestInfo, 'caller'>,
): Page<Stack> {
  const states = new Map(store.snapshot(stackStateKind).map((state) => [state.id, state]))
  const listing = {
    kind: stackKind,
    projectIdOf: ({ value }: StoredObject<StackValue>) => value.projectId,
    view: (stack: StoredObject<StackValue>) => viewStack(stack, states.get(stack.id) ?? null),
  }
  return listObjects({ store }, listing, query, request)
}

function viewStack(stack: StoredObject<StackValue>, state: StoredObject<StackStateValue | null> | null): Stack {
  const { name, projectId, lock } = stack.value
  return {
    id: stack.id,
    name,
    projectId,
    shardKey: stack.shardKey,
    version: stack.version,
    status: lock === null ? 'free' : 'locked',
    state: state === null ? null : viewState(state),
    lock:
      lock === null
        ? null
        : {
            id: lock.info.ID,
            who: lock.info.Who,
            operation: lock.info.Operation,
            info: lock.info.Info,
            takenBy: lock.takenBy,
            takenAt: lock.takenAt,
          },
    createdAt: stack.createdAt,
    updatedAt: stack.updatedAt,
  }
}
