/** Reads `--since`: how long ago, or a time. Pure. */

const unitMilliseconds = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** RFC 3339. Throws where it is neither. */
export function parseSince(text: string, now: number): string {
  const [, amount, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  if (amount !== undefined) {
    return new Date(now - Number(amount) * unitMilliseconds[unit as keyof typeof unitMilliseconds]).toISOString()
  }
  const at = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(at))
    throw new Error(`--since takes 30s, 10m, 2h, 1d or a time as 2026-01-31T12:00:00Z; "${text}" is none`)
  return new Date(at).toISOString()
}
