/** Durations as users write them in timeouts: "90s", "1h30m", "1.5h". */

const secondsOf: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600 }

/** In seconds; undefined when the text is no duration of more than zero. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return undefined
  const parts = text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)
  const seconds = [...parts].reduce((sum, [, amount, unit]) => sum + Number(amount) * (secondsOf[unit ?? ''] ?? 0), 0)
  return seconds > 0 ? seconds : undefined
}
