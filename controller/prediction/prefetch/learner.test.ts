import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { startTestNatsServer, type TestNatsServer } from '../../control-plane/test-nats-server.ts'
import { ensureActionStream, openActionLog } from './action-log.ts'
import type { ActionRecord } from './action-record.ts'
import { openLearner } from './learner.ts'

setDefaultTimeout(60_000)

let server: TestNatsServer
let connection: NatsConnection
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-learner-'))
  server = await startTestNatsServer()
  connection = await connect({ servers: server.url })
  await ensureActionStream(connection, 1)
})

afterAll(async () => {
  await connection.close()
  await server.stop()
  await rm(folder, { recursive: true, force: true })
})

const did = (actionType: string, at: number): ActionRecord => ({
  ...{ userAccountId: 'tok_1', scope: 'admin', projectId: null, actionType, at, isRead: false },
  ...{ parameters: {}, query: {}, status: 200, milliseconds: 1, bytes: 2 },
})

async function write(actions: readonly ActionRecord[]): Promise<void> {
  const log = openActionLog({ connection, controller: 'a', now: () => 0 })
  for (const action of actions) log.note(action)
  await log.close()
}

/** Resolves with what it has told once it was told of this many actions. */
async function learn(file: string, count: number) {
  const warnings: string[] = []
  const told: string[] = []
  const enough = Promise.withResolvers<void>()
  if (count === 0) enough.resolve()
  const learner = await openLearner({
    ...{ connection, file },
    logger: { info: () => {}, warn: (_: object, text?: string) => void warnings.push(text ?? '') },
    onAction: ({ actionType }) => {
      told.push(actionType)
      if (told.length === count) enough.resolve()
    },
  })
  await enough.promise
  const next = learner.model.predict({ userAccountId: 'tok_1' })
  await learner.close()
  return { told, warnings, next, sequence: learner.sequence() }
}

test('goes on where it was, and learns anew what it can not read', async () => {
  const file = join(folder, 'model.json')
  await write(['list', 'show', 'list', 'show', 'list'].map((type, i) => did(type, 1_000 * i)))
  const first = await learn(file, 5)
  expect(first.next[0]?.actionType).toBe('show')
  // Nothing is told twice: what was learned comes out of the file.
  await write([did('show', 5_000)])
  const second = await learn(file, 1)
  expect(second.told).toEqual(['show'])
  expect(second.next[0]?.actionType).toBe('list')
  await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), format: 99 }))
  const third = await learn(file, 6)
  expect(third.warnings).toEqual(['what was learned of actions can not be used; it is learned anew'])
  expect(third.next).toEqual(second.next)
  expect(third.sequence).toBe(second.sequence)
  expect((await learn(file, 0)).next).toEqual(second.next)
})

test('keeps what it has learned where the log is another one', async () => {
  const file = join(folder, 'later.json')
  await learn(file, 6)
  await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), sequence: 1_000 }))
  const learned = await learn(file, 6)
  expect(learned.warnings).toEqual([])
  expect(learned.sequence).toBeLessThan(1_000)
})
