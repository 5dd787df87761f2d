/**
 * What clients saw of a store: who asked for what when, and what was answered. Recorded as it happens, judged afterwards
 * by `check-history.ts`. Touches nothing.
 *
 * The objects are journals (`journal.ts`): each action appends its id with the version that it makes, so that the last
 * value of an object tells the order of all its writes.
 */

/** An entry of a journal: which action, and the version that it made. */
export interface Entry {
  readonly actionId: string
  readonly version: number
}

/** Instants only have to be in order: a counter in one process, a clock that all processes share between several. */
export interface Span {
  readonly calledAt: number
  /** Null: it was never answered. */
  readonly answeredAt: number | null
}

export type ActionAnswer =
  | { readonly kind: 'done'; readonly version: number }
  /** Certainly not written, and never will be. */
  | { readonly kind: 'notDone' }
  /** Written, or not, or only later. */
  | { readonly kind: 'unknown' }

export interface RecordedAction extends Span {
  readonly kind: 'action'
  readonly client: string
  readonly object: string
  readonly actionId: string
  readonly answer: ActionAnswer
}

export interface RecordedRead extends Span {
  readonly kind: 'read'
  readonly client: string
  readonly object: string
  /** What a reader was promised: `latest`, all that was acknowledged before; `memory`, never less than it was shown. */
  readonly promise: 'latest' | 'memory'
  /** 0: there was none. */
  readonly version: number
  readonly entries: readonly Entry[]
}

export type Operation = RecordedAction | RecordedRead

/** An object as it is when all is over and nobody writes any more. */
export interface FinalObject {
  readonly version: number
  readonly entries: readonly Entry[]
}

export interface History {
  readonly operations: readonly Operation[]
  readonly finals: ReadonlyMap<string, FinalObject>
}

export interface Asked {
  readonly client: string
  readonly object: string
}

export interface Recorder {
  /** Records an action; one whose `run` rejects is recorded as unknown, and the rejection passes through. */
  act(asked: Asked & { readonly actionId: string }, run: () => Promise<ActionAnswer>): Promise<ActionAnswer>
  /** Records a read; one that rejects was no read. */
  read(
    asked: Asked & Pick<RecordedRead, 'promise'>,
    run: () => Promise<FinalObject | null>,
  ): Promise<FinalObject | null>
  /** All that was asked so far; what has not been answered yet is unknown. */
  operations(): readonly Operation[]
}

/** @param tick the instant; left out: a counter, which is exact within one process */
export function createRecorder(tick: () => number = createCounter()): Recorder {
  const operations: Operation[] = []
  const open = new Map<number, RecordedAction>()
  let opened = 0
  return {
    async act(asked, run) {
      const number = opened++
      const action: RecordedAction = {
        kind: 'action',
        client: asked.client,
        object: asked.object,
        actionId: asked.actionId,
        calledAt: tick(),
        answeredAt: null,
        answer: { kind: 'unknown' },
      }
      open.set(number, action)
      try {
        const answer = await run()
        operations.push({ ...action, answer, answeredAt: answer.kind === 'unknown' ? null : tick() })
        return answer
      } catch (cause) {
        operations.push(action)
        throw cause
      } finally {
        open.delete(number)
      }
    },
    async read(asked, run) {
      const calledAt = tick()
      const found = await run()
      const { version, entries } = found ?? { version: 0, entries: [] }
      operations.push({ kind: 'read', ...asked, calledAt, answeredAt: tick(), version, entries })
      return found
    },
    operations: () => [...operations, ...open.values()],
  }
}

function createCounter(): () => number {
  let count = 0
  return () => ++count
}
