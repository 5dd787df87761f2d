/** Figures in few columns. Pure. What is not known is a dash. */

const unknown = '-'

/** Three digits: `0`, `0.4`, `12`, `999`, `1.2k`, `34k`, `5.6M`. */
export function amount(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return unknown
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(value / 0.9995) / 3)))
  const scaled = value / 1000 ** power
  if (scaled >= 999.5) return 'much'
  return `${oneDigit(scaled)}${units[power]}`
}

const units = ['', 'k', 'M', 'G', 'T'] as const

/** `0`, `0.4`, `9.9`, `10`: a place behind the point where it says something. */
const oneDigit = (value: number) => (value >= 9.95 ? String(Math.round(value)) : value.toFixed(1).replace(/\.0$/, ''))

export const percent = (value: number | null) => withUnit(value, '%')

export const milliseconds = (value: number | null) =>
  value !== null && value >= 999.5 ? withUnit(value / 1000, 's') : withUnit(value, 'ms')

function withUnit(value: number | null, unit: string): string {
  const text = amount(value)
  return text === unknown ? text : `${text}${unit}`
}

export const ofAll = (some: number, all: number) => `${some}/${all}`
