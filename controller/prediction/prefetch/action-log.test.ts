import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { followStream } from '../../control-plane/follow-stream.ts'
import { startTestNatsServer, type TestNatsServer } from '../../control-plane/test-nats-server.ts'
import { actionStream, actionSubjects, ensureActionStream, openActionLog } from './action-log.ts'
import { type ActionRecord, decodeActions } from './action-record.ts'

setDefaultTimeout(60_000)

let server: TestNatsServer
let connection: NatsConnection

beforeAll(async () => {
  server = await startTestNatsServer()
  connection = await connect({ servers: server.url })
  await ensureActionStream(connection, 1)
})

afterAll(async () => {
  await connection.close()
  await server.stop()
})

const did = (at: number): ActionRecord => ({
  ...{ userAccountId: 'tok_1', scope: 'admin', projectId: null, actionType: 'listNetworks', at, isRead: false },
  ...{ parameters: {}, query: {}, status: 200, milliseconds: 1, bytes: 2 },
})

async function readAll(controller: string): Promise<{ messages: number; times: readonly number[] }> {
  const done = new AbortController()
  const times: number[] = []
  let messages = 0
  for await (const item of followStream({
    connection,
    stream: actionStream,
    filterSubject: actionSubjects,
    start: { kind: 'sequence', sequence: 1 },
    signal: done.signal,
  })) {
    if (item.kind === 'caughtUp') break
    if (item.kind !== 'message') continue
    const batch = decodeActions(item.data)
    if (batch.controller !== controller) continue
    messages++
    times.push(...batch.actions.map(({ at }) => at))
  }
  done.abort()
  return { messages, times }
}

test('what is noted at once goes in few messages, in its order, and all of it before the log is closed', async () => {
  const log = openActionLog({ connection, controller: 'a', now: () => 0 })
  for (let i = 0; i < 300; i++) log.note(did(i))
  await log.close()
  const { messages, times } = await readAll('a')
  expect(messages).toBe(5)
  expect(times.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 300 }, (_, i) => i))
  expect(log.counts()).toEqual({ written: 300, lost: 0 })
})

test('of what comes too fast for long a part is left out, and counted', async () => {
  let now = 0
  const log = openActionLog({ connection, controller: 'b', now: () => now })
  for (let i = 0; i < 2_500; i++) log.note(did(i))
  now += 1_000
  for (let i = 0; i < 300; i++) log.note(did(i))
  await log.close()
  expect(log.counts()).toEqual({ written: 2_200, lost: 600 })
})

test('where nothing can be written nothing waits and nothing throws', async () => {
  const gone = await connect({ servers: server.url })
  const log = openActionLog({ connection: gone, controller: 'c', now: () => 0 })
  await gone.close()
  log.note(did(1))
  await log.close()
  expect(log.counts()).toEqual({ written: 0, lost: 1 })
})
