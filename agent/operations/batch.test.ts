import { expect, test } from 'bun:test'
import { createBatcher, parseBatchFailures } from './batch.ts'
import type { CommandResult, RunCommand } from './run-command.ts'

interface Call {
  readonly argv: string
  readonly lines: string[]
  readonly end: (result: Partial<CommandResult>) => void
}

/** Programs that end when the test says so. */
function createStage(): { run: RunCommand; calls: Call[] } {
  const calls: Call[] = []
  const run: RunCommand = (argv, options) =>
    new Promise((resolve) => {
      calls.push({
        argv: argv.join(' '),
        lines: (options?.input ?? '').trimEnd().split('\n'),
        end: (result) => {
          resolve({ exitCode: 0, stdout: '', stderr: '', ...result })
        },
      })
    })
  return { run, calls }
}

/** All that was asked for in this turn has come to its program. */
const settle = () => Bun.sleep(0)

test('lines of many objects share one process, in the order of the objects', async () => {
  const { run, calls } = createStage()
  const runLines = createBatcher(run)
  const asks = [
    runLines('ip', ['a', 'b']),
    runLines('ip', ['c']),
    runLines('bridge', ['d']),
    runLines('ip -n x', ['e']),
  ]
  await settle()
  expect(calls.map(({ argv, lines }) => [argv, lines])).toEqual([
    ['ip -force -batch -', ['a', 'b', 'c']],
    ['bridge -force -batch -', ['d']],
    ['ip -n x -force -batch -', ['e']],
  ])
  for (const call of calls) call.end({})
  expect(await Promise.all(asks)).toEqual([undefined, undefined, undefined, undefined])
})

test('what is asked for while a process runs goes into the next one together', async () => {
  const { run, calls } = createStage()
  const runLines = createBatcher(run)
  const first = runLines('ip', ['a'])
  await settle()
  const later = [runLines('ip', ['b']), runLines('ip', ['c'])]
  await settle()
  expect(calls.length).toBe(1)
  calls[0]?.end({})
  await first
  await settle()
  expect(calls[1]?.lines).toEqual(['b', 'c'])
  calls[1]?.end({})
  expect(await Promise.all(later)).toEqual([undefined, undefined])
})

test('a failure is told to whom it belongs, by its own words', async () => {
  const { run, calls } = createStage()
  const runLines = createBatcher(run)
  const asks = [runLines('ip', ['a', 'b']), runLines('ip', ['c', 'd']), runLines('ip', ['e'])]
  await settle()
  const stderr = 'RTNETLINK answers: File exists\nCommand failed -:2\nCannot find device "d"\nCommand failed -:4\n'
  calls[0]?.end({ exitCode: 1, stderr })
  expect(await Promise.all(asks)).toEqual([
    'ip b: RTNETLINK answers: File exists',
    'ip d: Cannot find device "d"',
    undefined,
  ])
})

test('a process that fails as a whole fails everybody', async () => {
  const { run, calls } = createStage()
  const runLines = createBatcher(run)
  const asks = [runLines('ip -n gone', ['a']), runLines('ip -n gone', ['b'])]
  await settle()
  calls[0]?.end({ exitCode: 255, stderr: 'Cannot open network namespace "gone": No such file or directory\n' })
  const words = 'ip -n gone: Cannot open network namespace "gone": No such file or directory'
  expect(await Promise.all(asks)).toEqual([words, words])
})

test('words are kept with the line that they were said of', () => {
  const stderr = 'Error: one.\nof two lines\nCommand failed -:3\nCommand failed -:9\n'
  expect([...parseBatchFailures(stderr)]).toEqual([
    [3, 'Error: one. of two lines'],
    [9, 'failed'],
  ])
})
