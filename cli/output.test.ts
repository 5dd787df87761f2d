import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { describeError, describeObject, duration, table } from './output.ts'

describe('a table', () => {
  test('has columns as wide as what is in them', () => {
    expect(
      table(
        ['name', 'status'],
        [
          ['web', 'active'],
          ['a longer one', '-'],
        ],
      ),
    ).toBe(['NAME          STATUS', 'web           active', 'a longer one  -'].join('\n'))
  })

  test('is never wider than 80 columns, and never has more or fewer lines', () => {
    const cell = fc.string({ maxLength: 120, unit: fc.constantFrom('a', 'b', ' ', '-') })
    const rows = fc.array(fc.tuple(cell, cell, cell), { maxLength: 8 })
    fc.assert(
      fc.property(rows, (some) => {
        const lines = table(['one', 'two', 'three'], some).split('\n')
        expect(lines.length).toBe(some.length + 1)
        expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
      }),
    )
  })
})

test('an id is cut last', () => {
  const id = 'lb_0b75xc701m7yzqbv1fgyttfh2'
  const printed = table(['name', 'more', 'id'], [['n'.repeat(60), 'm'.repeat(60), id]])
  expect(printed).toContain(id)
  expect(printed).toContain('…')
})

test('a list that is too wide for a table is a block for each', () => {
  const text = describeObject({ conditions: [{ type: 'ready', message: 'm'.repeat(90) }] })
  expect(text).toBe(`conditions:\n  - type     ready\n    message  ${'m'.repeat(90)}`)
})

test('an object is a field a line, with lists of objects below', () => {
  const text = describeObject({
    id: 'lb_1',
    url: null,
    vips: ['198.18.32.2', '198.18.32.3'],
    healthCheck: { path: '/' },
    members: [{ address: '198.18.16.11', weight: 1, machineId: null }],
    conditions: [],
  })
  expect(text).toBe(
    [
      'id                lb_1',
      'url               -',
      'vips              198.18.32.2, 198.18.32.3',
      'healthCheck.path  /',
      'conditions        -',
      'members:',
      '  ADDRESS       WEIGHT',
      '  198.18.16.11  1',
    ].join('\n'),
  )
})

test('a condition within another object is a sentence with its time', () => {
  const condition = { type: 'suspected', status: 'true', reason: 'hostSilent', message: 'm'.repeat(60), changedAt: 'T' }
  const text = describeObject({
    instances: [{ id: 'lbi_1', conditions: [condition, { ...condition, type: 'ready' }] }],
  })
  expect(text).toContain(`suspected true since T: ${'m'.repeat(60)}, ready true since T: `)
})

test('an error is told with its causes', () => {
  const error = new Error('no controller answers', { cause: new Error('refused') })
  expect(describeError(error)).toBe('sluice: no controller answers\n  because refused')
})

test('times are short', () => {
  expect([0.4, 999, 1000, 61_230].map(duration)).toEqual(['0 ms', '999 ms', '1.0 s', '61.2 s'])
})
