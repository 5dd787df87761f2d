/** A change that is still being made after its request was answered 202: waits for it, and tells so. Calls what it is given. */

import * as v from 'valibot'
import { type PendingAction, pendingActionSchema } from '../controller/contract/escalation.ts'

const pollMilliseconds = 500
const tellMilliseconds = 5_000

export interface FollowMeans {
  /** As it is now. */
  readonly read: (path: string) => Promise<unknown>
  readonly tell: (line: string) => void
  readonly sleep: (milliseconds: number) => Promise<unknown>
}

/** The action that an answer tells of; null: it is the answer to what was asked. */
export function readPending(status: number, answer: unknown): PendingAction | null {
  const parsed = status === 202 ? v.safeParse(pendingActionSchema, answer) : null
  return parsed?.success === true && parsed.output.status === 'reconciling' ? parsed.output : null
}

/** Returns once nothing goes on any more, made or not; the request, sent again, is answered with what became of it. */
export async function followAction({ read, tell, sleep }: FollowMeans, { id }: PendingAction): Promise<void> {
  tell(`others keep changing the same; action ${id} goes on (--no-wait leaves it to itself)`)
  for (let waited = pollMilliseconds; ; waited += pollMilliseconds) {
    await sleep(pollMilliseconds)
    const { status } = v.parse(pendingActionSchema, await read(`/v1/actions/${id}`))
    if (status !== 'reconciling') return
    if (waited % tellMilliseconds === 0) tell(`action ${id} is ${status} for ${waited / 1000} s`)
  }
}
