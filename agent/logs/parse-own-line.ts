/** Reads the words that haproxy and keepalived write themselves, of which only keepalived says when. Pure. */

import type { LogLine } from '../contract/log-lines.ts'

const charactersMaximum = 2000
const keepalivedTime = /^(\w{3} \w{3} \d{1,2} \d{2}:\d{2}:\d{2} \d{4}): (.*)$/

/** @param now milliseconds since 1970, for a line that doesn't say when */
export function parseOwnLine(line: string, now: number): LogLine {
  const clean = line
    .replaceAll(/[\p{Cc}\s]+/gu, ' ')
    .toWellFormed()
    .slice(0, charactersMaximum)
    .trimEnd()
  const [, time, words] = keepalivedTime.exec(clean) ?? []
  const at = time === undefined ? Number.NaN : Date.parse(time)
  return Number.isNaN(at) || words === undefined
    ? { at: now, message: clean }
    : { at: fittingTime(at, now), message: words }
}

/** By the whole second: within the one that is now, now is nearer. */
const fittingTime = (at: number, now: number) => (now >= at && now - at < 2000 ? now : at)
