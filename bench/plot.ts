/**
 * Draws measurements as SVG: rows of samples on one axis, rows of bars, and panels of lines. Pure: data in, text out.
 * Colours work on light and dark paper alike, and no meaning hangs on a colour alone.
 */

import { percentile, show } from './statistics.ts'

export interface PlotRow {
  readonly label: string
  readonly samples: readonly number[]
  readonly isFloor?: boolean
}

interface Frame {
  readonly title: string
  /** A sentence under the title: what was done, how often, on what. */
  readonly subtitle: string
  readonly unit: string
}

export interface RowsPlot extends Frame {
  readonly rows: readonly PlotRow[]
  readonly isLogarithmic?: boolean
  /** A bound that is asked for, drawn as a line across. */
  readonly bound?: { readonly value: number; readonly label: string }
}

const width = 1020
const left = 310
const right = 230
const top = 76
const rowHeight = 34
const ours = '#2563eb'
const floor = '#d97706'
const lineColours = [ours, '#059669', '#7c3aed', '#db2777', '#0891b2']
const grey = '#6b7280'
const red = '#dc2626'

/** One row for each series: a dot for each sample, a bar at the p50, a thin one at the p99, and both in words. */
export function plotRows(plot: RowsPlot): string {
  const samples = plot.rows.flatMap((row) => row.samples)
  const scale = makeScale([...samples, ...(plot.bound ? [plot.bound.value] : [])], plot.isLogarithmic ?? false)
  const bottom = top + plot.rows.length * rowHeight
  const rows = plot.rows.map((row, index) => drawRow(row, top + index * rowHeight, scale))
  const bound = plot.bound
    ? [
        line(
          scale.at(plot.bound.value),
          top - 6,
          scale.at(plot.bound.value),
          bottom,
          `stroke="${red}" stroke-dasharray="4 3"`,
        ),
        text(
          scale.at(plot.bound.value),
          top - 10,
          plot.bound.label,
          `fill="${red}" text-anchor="middle" font-size="11"`,
        ),
      ]
    : []
  return page(plot, bottom + 46, [...drawAxis(scale, bottom, plot.unit), ...rows, ...bound])
}

function drawRow(row: PlotRow, y: number, scale: Scale): string {
  const middle = y + rowHeight / 2
  const colour = row.isFloor ? floor : ours
  const label = text(left - 12, middle + 4, row.label, `text-anchor="end" fill="${colour}"`)
  if (row.samples.length === 0) return `${label}${text(left + 4, middle + 4, 'no samples', `fill="${grey}"`)}`
  // The dots of equal samples would hide each other, so they are spread in a fixed pattern.
  const dots = row.samples.map((sample, index) => {
    const spread = (((index * 7) % 11) - 5) * 1.6
    return `<circle cx="${round(scale.at(sample))}" cy="${round(middle + spread)}" r="2.6" fill="${colour}" fill-opacity="0.4"/>`
  })
  const p50 = percentile(row.samples, 0.5)
  const p99 = percentile(row.samples, 0.99)
  const words = `p50 ${show(p50)}  p99 ${show(p99)}  max ${show(percentile(row.samples, 1))}`
  return [
    label,
    ...dots,
    line(scale.at(p50), middle - 13, scale.at(p50), middle + 13, `stroke="${colour}" stroke-width="3"`),
    line(scale.at(p99), middle - 11, scale.at(p99), middle + 11, `stroke="${colour}" stroke-width="1.4"`),
    text(width - right + 14, middle + 4, words, `fill="${grey}" font-size="11"`),
  ].join('\n')
}

export interface BarsPlot extends Frame {
  readonly rows: readonly {
    readonly label: string
    readonly value: number
    readonly words: string
    readonly isBad: boolean
  }[]
}

/** One bar for each row, and what is to be said of it beside it. */
export function plotBars(plot: BarsPlot): string {
  const scale = makeScale([0, ...plot.rows.map(({ value }) => value)], false)
  const bottom = top + plot.rows.length * rowHeight
  const rows = plot.rows.map(({ label, value, words, isBad }, index) => {
    const y = top + index * rowHeight
    const size = `width="${round(Math.max(1, scale.at(value) - left))}" height="${rowHeight - 14}"`
    return [
      text(left - 12, y + rowHeight / 2 + 4, label, 'text-anchor="end" fill="currentColor"'),
      `<rect x="${left}" y="${y + 7}" ${size} fill="${isBad ? red : ours}" fill-opacity="0.75"/>`,
      text(width - right + 14, y + rowHeight / 2 + 4, words, `fill="${isBad ? red : grey}" font-size="11"`),
    ].join('\n')
  })
  return page(plot, bottom + 46, [...drawAxis(scale, bottom, plot.unit), ...rows])
}

export interface LinesPlot extends Omit<Frame, 'unit'> {
  readonly xLabel: string
  readonly panels: readonly {
    readonly title: string
    readonly unit: string
    readonly series: readonly {
      readonly label: string
      readonly isFloor?: boolean
      readonly points: readonly { readonly x: number; readonly y: number }[]
    }[]
  }[]
}

const panelHeight = 210
const nameHeight = 13

/**
 * Moves heights that are too close to each other down until all are so far apart, in their order.
 *
 * @example
 * spreadApart([20, 10, 12], 5) // [20, 10, 15]
 */
export function spreadApart(heights: readonly number[], apart: number): readonly number[] {
  const spread = [...heights]
  let before = Number.NEGATIVE_INFINITY
  for (const index of heights.map((_, index) => index).toSorted((a, b) => (heights[a] ?? 0) - (heights[b] ?? 0))) {
    before = Math.max(heights[index] ?? 0, before + apart)
    spread[index] = before
  }
  return spread
}

/** Panels one below the other, each with its lines over the same logarithmic x; the last point bears the line's name. */
export function plotLines(plot: LinesPlot): string {
  const xs = plot.panels.flatMap(({ series }) => series.flatMap(({ points }) => points.map(({ x }) => x)))
  const xScale = makeScale(xs, true, left - 210, width - right - 20)
  const panels = plot.panels.map((panel, index) => {
    const y = top + index * panelHeight
    const ys = panel.series.flatMap(({ points }) => points.map((point) => point.y))
    const yScale = makeScale([0, ...ys], false, y + panelHeight - 50, y + 24)
    const grid = yScale.ticks.flatMap((tick) => [
      line(left - 210, yScale.at(tick), width - right, yScale.at(tick), `stroke="${grey}" stroke-opacity="0.25"`),
      text(left - 218, yScale.at(tick) + 4, show(tick), `text-anchor="end" fill="${grey}" font-size="11"`),
    ])
    const foot = [...new Set(xs)].map((x) =>
      text(xScale.at(x), y + panelHeight - 34, show(x), `text-anchor="middle" fill="${grey}" font-size="11"`),
    )
    const names = spreadApart(
      panel.series.map(({ points }) => yScale.at(points.at(-1)?.y ?? 0)),
      nameHeight,
    )
    const lines = panel.series.map((series, order) => {
      const colour = series.isFloor ? floor : lineColours[order % lineColours.length]
      const points = series.points.map((point) => `${round(xScale.at(point.x))},${round(yScale.at(point.y))}`)
      const last = series.points.at(-1)
      const dots = points.map(
        (point) => `<circle cx="${point.split(',')[0]}" cy="${point.split(',')[1]}" r="3" fill="${colour}"/>`,
      )
      const name = last === undefined ? '' : `${series.label}: ${show(last.y)}`
      return [
        `<polyline points="${points.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`,
        ...dots,
        text(width - right + 4, (names[order] ?? y) + 4, name, `fill="${colour}" font-size="11"`),
      ].join('\n')
    })
    const title = text(left - 210, y + 10, `${panel.title} (${panel.unit})`, 'font-weight="600" fill="currentColor"')
    return [title, ...grid, ...foot, ...lines].join('\n')
  })
  const bottom = top + plot.panels.length * panelHeight
  const foot = text((left - 210 + width - right) / 2, bottom - 8, plot.xLabel, `text-anchor="middle" fill="${grey}"`)
  return page({ ...plot, unit: '' }, bottom + 16, [...panels, foot])
}

interface Scale {
  readonly at: (value: number) => number
  readonly ticks: readonly number[]
}

function makeScale(values: readonly number[], isLogarithmic: boolean, from = left, to = width - right): Scale {
  const most = Math.max(...values, isLogarithmic ? Number.MIN_VALUE : 0)
  if (isLogarithmic) {
    const least = Math.min(...values.filter((value) => value > 0))
    const low = Math.floor(Math.log10(least) + 1e-9)
    const high = Math.max(low + 1, Math.ceil(Math.log10(most) - 1e-9))
    const at = (value: number) => from + ((Math.log10(Math.max(value, 10 ** low)) - low) / (high - low)) * (to - from)
    return { at, ticks: Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index)) }
  }
  const step = niceStep((most === 0 ? 1 : most) / 5)
  const count = Math.max(1, Math.ceil((most / step) * (1 - 1e-9)))
  const end = count * step
  return {
    at: (value) => from + (value / end) * (to - from),
    ticks: Array.from({ length: count + 1 }, (_, index) => index * step),
  }
}

/** 1, 2 or 5 times a power of ten, at least as large as the given size. */
function niceStep(size: number): number {
  const power = 10 ** Math.floor(Math.log10(size))
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= size * (1 - 1e-9)) ?? power * 10
}

function drawAxis(scale: Scale, bottom: number, unit: string): string[] {
  return [
    ...scale.ticks.flatMap((tick) => [
      line(scale.at(tick), top, scale.at(tick), bottom, `stroke="${grey}" stroke-opacity="0.25"`),
      text(scale.at(tick), bottom + 18, show(tick), `text-anchor="middle" fill="${grey}" font-size="11"`),
    ]),
    text((left + width - right) / 2, bottom + 36, unit, `text-anchor="middle" fill="${grey}"`),
  ]
}

const round = (value: number) => Math.round(value * 10) / 10

const line = (x1: number, y1: number, x2: number, y2: number, attributes: string) =>
  `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" ${attributes}/>`

const text = (x: number, y: number, words: string, attributes: string) =>
  `<text x="${round(x)}" y="${round(y)}" ${attributes}>${escapeText(words)}</text>`

const escapeText = (words: string) => words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

function page(frame: Frame, height: number, parts: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="13" color="#111827">
<title>${escapeText(frame.title)}</title>
<rect width="100%" height="100%" fill="#ffffff"/>
${text(24, 28, frame.title, 'font-size="17" font-weight="600" fill="currentColor"')}
${text(24, 48, frame.subtitle, `fill="${grey}" font-size="12"`)}
${parts.join('\n')}
</svg>
`
}
