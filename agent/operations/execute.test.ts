import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Daemons } from './daemons.ts'
import { createExecute, type ExecutorParts, gatherSteps } from './execute.ts'
import type { Operation } from './operation.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-execute-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

const noDaemons: Daemons = {
  observe: () => [],
  start: () => Promise.resolve(undefined),
  stop: () => Promise.resolve(undefined),
  signal: () => 'dnsmasq does not run',
  close: () => undefined,
}

function createParts(overrides: Partial<ExecutorParts> = {}): ExecutorParts {
  return {
    run: () => Promise.resolve({ exitCode: 0, stdout: '', stderr: '' }),
    runLines: () => Promise.resolve(undefined),
    daemons: noDaemons,
    askHaproxy: () => Promise.resolve(''),
    ...overrides,
  }
}

const write = (name: string, content: string): Operation => ({ kind: 'writeFile', path: join(folder, name), content })

test('kernel operations in a row that go the same way are one step', () => {
  const steps = gatherSteps([
    { kind: 'addNamespace', namespace: 'a' },
    { kind: 'addBridge', device: 'b' },
    { kind: 'setLink', namespace: 'a', device: 'lo', up: true },
    { kind: 'removeFile', path: '/x' },
    { kind: 'setLink', namespace: 'a', device: 'eth0', up: true },
  ])
  expect(steps.map((step) => (step.kind === 'lines' ? step.channel : step.operation.kind))).toEqual([
    'ip',
    'ip -n a',
    'removeFile',
    'ip -n a',
  ])
})

test('the first failure ends its group, and no other', async () => {
  const run = async (argv: readonly string[]) =>
    argv[0] === 'checker'
      ? { exitCode: 1, stdout: 'line 3: unknown keyword', stderr: '' }
      : { exitCode: 0, stdout: '', stderr: '' }
  const failures = await createExecute(createParts({ run }))([
    {
      objectId: 'bad',
      operations: [write('bad.1', 'x'), { kind: 'checkConfig', argv: ['checker'] }, write('bad.2', 'x')],
    },
    { objectId: 'good', operations: [{ kind: 'checkConfig', argv: ['fine'] }, write('good', 'x')] },
  ])
  expect(failures).toEqual([
    {
      objectId: 'bad',
      operation: { kind: 'checkConfig', argv: ['checker'] },
      message: 'checker: line 3: unknown keyword',
    },
  ])
  expect(readdirSync(folder).sort()).toEqual(['bad.1', 'good'])
})

test('a file is whole, in a folder that is made, and nothing is left beside it', async () => {
  const path = join(folder, 'a/b/c')
  await createExecute(createParts())([
    { objectId: 'x', operations: [{ kind: 'writeFile', path, content: 'text', durable: true, mode: 0o600 }] },
  ])
  expect([readFileSync(path, 'utf8'), readdirSync(join(folder, 'a/b'))]).toEqual(['text', ['c']])
})

test.each([
  ['', undefined, true],
  ['New server registered.', ['New server registered'], true],
  ['No such backend.', ['New server registered'], false],
  ['No such server.', undefined, false],
])("haproxy's answer '%s' where %p is accepted", async (answer, accepted, isWell) => {
  const operation: Operation = { kind: 'haproxyCommand', socket: '/s', command: 'c', ...(accepted && { accepted }) }
  const execute = createExecute(createParts({ askHaproxy: () => Promise.resolve(`${answer}\n\n`) }))
  expect((await execute([{ objectId: 'x', operations: [operation] }])).length === 0).toBe(isWell)
})

test('what throws is a failure like any other', async () => {
  const askHaproxy = () => Promise.reject(new Error('no such socket'))
  const operation: Operation = { kind: 'haproxyCommand', socket: '/s', command: 'c' }
  const failures = await createExecute(createParts({ askHaproxy }))([{ objectId: 'x', operations: [operation] }])
  expect(failures).toEqual([{ objectId: 'x', operation, message: 'Error: no such socket' }])
})
