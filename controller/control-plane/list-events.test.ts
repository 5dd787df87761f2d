/** Lists of events, from a real server: the newest, and what follows on a given one. */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { jetstream } from '@nats-io/jetstream'
import { connect, headers, type NatsConnection } from '@nats-io/transport-node'
import type { CloudEvent } from './cloud-event.ts'
import { createCloudEvent } from './cloud-event.ts'
import { ensureEventStream, eventSubject, messageIdHeader } from './event-stream.ts'
import { listEvents } from './list-events.ts'
import { createClientId, createId } from './shard-key.ts'
import { startTestNatsServer, type TestNatsServer } from './test-nats-server.ts'

// Generous, since bun ends every child process, also the server, once a test is late.
setDefaultTimeout(60_000)

let server: TestNatsServer
let connection: NatsConnection
let kept: readonly CloudEvent[]
const now = Date.now()
const [mine, theirs] = [createClientId('prj', now), createClientId('prj', now)]
const everything = () => true

beforeAll(async () => {
  server = await startTestNatsServer()
  connection = await connect({ servers: server.url })
  await ensureEventStream(connection, 1)
  kept = Array.from({ length: 30 }, (_, i) => {
    const projectId = i % 3 === 0 ? theirs : mine
    const draft = { type: i % 2 === 0 ? 'shard.created' : 'shard.deleted', projectId, subject: projectId, data: i }
    return createCloudEvent(draft, { now: now + i })
  })
  for (const event of kept) {
    const marked = headers()
    marked.set(messageIdHeader, event.id)
    await jetstream(connection).publish(eventSubject(event), JSON.stringify(event), { headers: marked })
  }
})
afterAll(async () => {
  await connection.close()
  await server.stop()
})

const numbers = (events: readonly CloudEvent[]) => events.map(({ data }) => data)

describe('a list of events', () => {
  test('without an event to begin after is the newest, oldest first', async () => {
    const { items, next } = await listEvents({ connection, limit: 3, isWanted: everything })
    expect(numbers(items)).toEqual([27, 28, 29])
    expect(next).toBeNull()
  })

  test('after an event is what follows it, page by page, to the end', async () => {
    const seen: unknown[] = []
    let afterId = kept[4]?.id ?? null
    for (let pages = 0; afterId !== null && pages < 10; pages++) {
      const page = await listEvents({ connection, afterId, limit: 7, isWanted: everything })
      seen.push(...numbers(page.items))
      afterId = page.next
    }
    expect(seen).toEqual(Array.from({ length: 25 }, (_, i) => i + 5))
  })

  test('is of one project, and of what is wanted', async () => {
    const isWanted = ({ type }: CloudEvent) => type === 'shard.deleted'
    const { items } = await listEvents({ connection, projectId: mine, limit: 100, isWanted })
    expect(numbers(items)).toEqual([1, 5, 7, 11, 13, 17, 19, 23, 25, 29])
  })

  test('after an event that is not kept any more is all that is kept', async () => {
    const afterId = createId('evt', mine, now + 25)
    const { items } = await listEvents({ connection, afterId, limit: 100, isWanted: everything })
    expect(items).toHaveLength(30)
  })

  test('is empty when there is nothing', async () => {
    const projectId = createClientId('prj', now)
    const page = await listEvents({ connection, projectId, limit: 10, isWanted: everything })
    expect(page).toEqual({ items: [], next: null, lastSequence: 0 })
  })
})
