import { expect, test } from 'bun:test'
import type { LogLevel } from '../context.ts'
import { createLog } from './log.ts'

const levels: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error']
const written = (environment: Readonly<Record<string, string>>) => {
  const lines: string[] = []
  const log = createLog(
    'doors',
    environment,
    (line) => lines.push(line),
    () => new Date(5),
  )
  for (const level of levels) log[level]('it is open', { door: 1, '@level': 'mine' })
  return lines.map((line) => JSON.parse(line))
}

test('a line is what the host parses, and no field takes the place of its own', () => {
  expect(written({ TF_LOG: 'error' })).toEqual([
    {
      door: 1,
      '@level': 'error',
      '@message': 'it is open',
      '@module': 'provider.doors',
      '@timestamp': '1970-01-01T00:00:00.005000Z',
    },
  ])
})

const rows = [
  [{}, 2],
  [{ TF_LOG: 'INFO' }, 3],
  [{ TF_LOG: 'json' }, 5],
  [{ TF_LOG: 'off' }, 0],
  [{ TF_LOG: 'error', TF_LOG_PROVIDER: 'debug' }, 4],
  [{ TF_LOG: 'whatever' }, 5],
] as const
for (const [environment, count] of rows) {
  test(`${JSON.stringify(environment)} writes ${count} of five levels`, () =>
    expect(written(environment)).toHaveLength(count))
}
