/** Text by the columns that a terminal gives it, which are not its characters. Pure. */

import { visible } from '../logs/describe-entry.ts'

export const widthOf = (text: string): number => Bun.stringWidth(text)

const segmenter = new Intl.Segmenter('und', { granularity: 'grapheme' })

/** No wider than so many columns: what is cut off ends in an ellipsis. What a terminal would obey is written out. */
export function fit(text: string, columns: number): string {
  const plain = visible(text)
  if (widthOf(plain) <= columns) return plain
  if (columns < 1) return ''
  let width = 0
  let kept = ''
  for (const { segment } of segmenter.segment(plain)) {
    width += widthOf(segment)
    if (width > columns - 1) break
    kept += segment
  }
  return `${kept}…`
}

export const padEnd = (text: string, columns: number) => `${text}${' '.repeat(Math.max(0, columns - widthOf(text)))}`
export const padStart = (text: string, columns: number) => `${' '.repeat(Math.max(0, columns - widthOf(text)))}${text}`
