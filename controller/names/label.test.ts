import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { assignLabels, type Labelled, makeLabel } from './label.ts'

const lb = (number: number) => `lb_${String(number).padStart(25, '0')}`
const anew = (...names: readonly string[]): Labelled[] => names.map((name, i) => ({ id: lb(i), name, label: null }))

describe('a label is made of a name', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['web', 'web'],
    ['Web Shop (EU)', 'web-shop-eu'],
    ['Käse & Brot', 'kase-brot'],
    ['--edge--', 'edge'],
    ['店', 'balancer'],
    ["john's", 'johns'],
    ['a'.repeat(128), 'a'.repeat(56)],
    [`${'a'.repeat(55)} b`, 'a'.repeat(55)],
  ]
  for (const [name, label] of rows) test(`${name} gives ${label}`, () => expect(makeLabel(name)).toBe(label))
})

test('of two names that give one label the older balancer has it', () => {
  const labels = assignLabels(anew('Web Shop', 'web-shop', 'web'))
  expect([...labels.values()]).toEqual(['web-shop', 'web-shop-000001', 'web'])
})

test('a label stays when the balancer that it was told apart from is gone', () => {
  const younger = { id: lb(1), name: 'web-shop', label: 'web-shop-000001' }
  expect(assignLabels([younger]).get(lb(1))).toBe('web-shop-000001')
})

test('a balancer that is renamed gets another label, and its former one is free', () => {
  const balancers = [
    { id: lb(0), name: 'shop', label: 'web' },
    { id: lb(1), name: 'web', label: null },
  ]
  expect([...assignLabels(balancers).values()]).toEqual(['shop', 'web'])
})

test('a name that is made to look like another label takes nothing from it', () => {
  const balancers = [
    { id: lb(0), name: 'Web', label: 'web' },
    { id: lb(1), name: 'web!', label: 'web-000001' },
    { id: lb(2), name: 'web-000001', label: null },
  ]
  expect(new Set(assignLabels(balancers).values()).size).toBe(3)
})

test('whatever names are: labels are valid, each another, and stay when they are assigned again', () => {
  const names = fc.array(fc.string({ unit: 'grapheme', maxLength: 128 }), { maxLength: 20 })
  fc.assert(
    fc.property(names, (given) => {
      const balancers = anew(...given)
      const labels = assignLabels(balancers)
      expect(labels.size).toBe(given.length)
      expect(new Set(labels.values()).size).toBe(given.length)
      for (const label of labels.values()) expect(label).toMatch(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/)
      const again = balancers.map((one) => ({ ...one, label: labels.get(one.id) ?? null })).toReversed()
      expect(new Map(assignLabels(again))).toEqual(new Map(labels))
    }),
  )
})
