import { expect, test } from 'bun:test'
import { describeHistory } from './history.ts'

test('a history tells of each version what it changed', () => {
  const at = (second: number) => `2030-01-01T00:00:0${second}.123Z`
  expect(
    describeHistory([
      { version: 1, updatedAt: at(1), spec: { name: 'web', mtu: 1400 } },
      { version: 2, updatedAt: at(2), spec: { name: 'front', mtu: 1300 } },
      { version: 3, updatedAt: at(3), spec: { name: 'front', mtu: 1300 } },
      { version: 4, updatedAt: at(4), spec: null },
      { version: 5, updatedAt: at(5), spec: { name: 'web' } },
    ]),
  ).toBe(
    [
      'VERSION  AT                    CHANGED  TO',
      '1        2030-01-01T00:00:01Z  created',
      '2        2030-01-01T00:00:02Z  name     "front"',
      '                               mtu      1300',
      '3        2030-01-01T00:00:03Z  nothing',
      '4        2030-01-01T00:00:04Z  deleted',
      '5        2030-01-01T00:00:05Z  created',
    ].join('\n'),
  )
})
