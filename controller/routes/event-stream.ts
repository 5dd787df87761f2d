/** Writes events, or other items, as Server-Sent Events, with a heartbeat while there are none. Pulls no faster than its reader reads. */

import type { CloudEvent } from '../contract/events.ts'

export interface ItemStreamOptions<Item> {
  readonly read: (options: { readonly signal: AbortSignal; readonly onStarted: () => void }) => AsyncIterable<Item>
  /** Left out: all are. */
  readonly isWanted?: (item: Item) => boolean
  /** Its id is what a caller whose stream broke names. */
  readonly describe: (item: Item) => { readonly id: string; readonly type: string; readonly item: unknown }
  /** Aborts when the caller has gone. */
  readonly signal: AbortSignal
  readonly heartbeatMilliseconds?: number
}

const heartbeatMillisecondsDefault = 15_000
/** How long a caller whose stream broke waits before it asks again, naming the last event that it has. */
const retryMilliseconds = 1_000

export function streamEvents(options: Omit<ItemStreamOptions<CloudEvent>, 'describe'>): Response {
  return streamItems({ ...options, describe: (event) => ({ id: event.id, type: event.type, item: event }) })
}

export function streamItems<Item>(options: ItemStreamOptions<Item>): Response {
  const abort = new AbortController()
  const end = () => abort.abort()
  options.signal.addEventListener('abort', end)
  if (options.signal.aborted) end()
  const body = toStream(describeItems(options, abort), () => {
    end()
    options.signal.removeEventListener('abort', end)
  })
  return new Response(body, {
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' },
  })
}

/** The stream's text, piece by piece: what is ready now, else a heartbeat when it is time. */
async function* describeItems<Item>(
  options: ItemStreamOptions<Item>,
  abort: AbortController,
): AsyncGenerator<string, void> {
  const { signal } = abort
  const started = Promise.withResolvers<'started'>()
  const items = options.read({ signal, onStarted: () => started.resolve('started') })[Symbol.asyncIterator]()
  yield `retry: ${retryMilliseconds}\n\n`
  let isStarted = false
  let next = items.next()
  try {
    for (;;) {
      const beat = startHeartbeat(options.heartbeatMilliseconds ?? heartbeatMillisecondsDefault)
      const first = await Promise.race([next, beat.promise, ...(isStarted ? [] : [started.promise])])
      beat.stop()
      if (first === 'started') {
        isStarted = true
        // Whoever waits for this line knows that whatever happens from now on will be told.
        yield ': following\n\n'
      } else if (first === 'beat') {
        yield ': heartbeat\n\n'
      } else {
        if (first.done === true) return
        if (options.isWanted?.(first.value) !== false) yield describeItem(options.describe(first.value))
        next = items.next()
      }
    }
  } finally {
    abort.abort()
    // What it still waits for ends by the signal; nobody is left to be told how.
    next.catch(() => undefined)
  }
}

const describeItem = ({ id, type, item }: ReturnType<ItemStreamOptions<never>['describe']>): string =>
  `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(item)}\n\n`

function startHeartbeat(milliseconds: number): { readonly promise: Promise<'beat'>; stop(): void } {
  const { promise, resolve } = Promise.withResolvers<'beat'>()
  const timer = setTimeout(() => resolve('beat'), milliseconds)
  return { promise, stop: () => clearTimeout(timer) }
}

function toStream(texts: AsyncGenerator<string, void>, onEnd: () => void): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  return new ReadableStream({
    async pull(controller) {
      try {
        const next = await texts.next()
        if (next.done !== true) return controller.enqueue(encoder.encode(next.value))
        onEnd()
        controller.close()
      } catch (cause) {
        onEnd()
        controller.error(cause)
      }
    },
    async cancel() {
      onEnd()
      await texts.return(undefined)
    },
  })
}
