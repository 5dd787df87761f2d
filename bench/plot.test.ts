import { describe, expect, test } from 'bun:test'
import { plotBars, plotLines, plotRows, spreadApart } from './plot.ts'

const count = (text: string, part: string) => text.split(part).length - 1
const frame = { title: 'A & B', subtitle: 'a < b', unit: 'ms' }

describe('rows of samples', () => {
  test('have a dot for each sample and a bar at the bound', () => {
    const rows = [
      { label: 'ours', samples: [1, 2, 3] },
      { label: 'by hand', samples: [4], isFloor: true },
    ]
    const svg = plotRows({ ...frame, rows, bound: { value: 250, label: 'at most 250' } })
    expect(count(svg, '<circle')).toBe(4)
    expect(svg).toContain('at most 250')
    expect(svg).toContain('A &amp; B')
    expect(svg).toContain('a &lt; b')
  })

  test('say so where there are no samples', () => {
    expect(plotRows({ ...frame, rows: [{ label: 'ours', samples: [] }] })).toContain('no samples')
  })

  test('may be logarithmic, and then keep in what is below the axis', () => {
    const svg = plotRows({ ...frame, isLogarithmic: true, rows: [{ label: 'ours', samples: [0, 1, 1000] }] })
    const xs = [...svg.matchAll(/<circle cx="([\d.]+)"/g)].map(([, x]) => Number(x))
    expect(Math.min(...xs)).toBe(310)
    expect(Math.max(...xs)).toBe(790)
  })
})

test('bars are as long as their values', () => {
  const bar = (label: string, value: number) => ({ label, value, words: `${value}`, isBad: false })
  const svg = plotBars({ ...frame, rows: [bar('all', 100), bar('half', 50)] })
  const widths = [...svg.matchAll(/<rect x="310" y="\d+" width="([\d.]+)"/g)].map(([, size]) => Number(size))
  expect(widths).toEqual([480, 240])
})

test('lines go through all of their points, and their last one names them', () => {
  const points = [1, 10, 100].map((x) => ({ x, y: x * 2 }))
  const panels = [{ title: 'time', unit: 's', series: [{ label: 'ours', points }] }]
  const svg = plotLines({ title: 't', subtitle: 's', xLabel: 'balancers', panels })
  expect(count(svg, '<circle')).toBe(3)
  expect(svg).toContain('ours: 200')
})

test('names that would hide each other are moved apart, in their order', () => {
  expect(spreadApart([20, 10, 12], 5)).toEqual([20, 10, 15])
  expect(spreadApart([10, 10, 11], 5)).toEqual([10, 15, 20])
  expect(spreadApart([], 5)).toEqual([])
})
