/** Follows a stream of server-sent events through the controller's restarts: each time after the last one that was told. */

import type { Api } from './api.ts'
import { parseServerSentEvents, type ServerSentEvent } from './server-sent-events.ts'

export interface FollowRequest {
  readonly path: string
  readonly query: Readonly<Record<string, string | undefined>>
  /** Begin after this one. */
  readonly after?: string | undefined
}

/** After the controller went away, the stream is taken up where it broke off. */
const retryMilliseconds = 500

/** Never resolves. Rejects where the first attempt is refused. */
export async function followEvents(
  api: Api,
  request: FollowRequest,
  onEvent: (event: ServerSentEvent) => void,
): Promise<never> {
  let last = request.after
  for (let isFirst = true; ; isFirst = false) {
    try {
      const headers = { accept: 'text/event-stream', ...(last === undefined ? {} : { 'last-event-id': last }) }
      const { path, query } = request
      const response = await api.open({ method: 'GET', path, query, headers }, new AbortController().signal)
      for await (const event of parseServerSentEvents(response.body ?? new ReadableStream())) {
        onEvent(event)
        last = event.id
      }
      process.stderr.write('the stream has ended; taking it up again\n')
    } catch (error) {
      if (isFirst && last === request.after) throw error
    }
    await Bun.sleep(retryMilliseconds)
  }
}
