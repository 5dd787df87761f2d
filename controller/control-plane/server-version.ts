/** Which nats-server is new enough. Pure. */

/** Older servers accept several writers on one expectation: Debian's 2.9 did in nearly every race. */
export const serverVersionMinimum = '2.12.3'

/** Throws, naming both versions, where conditional writes can't be relied on. */
export function refuseOldServerVersion(version: string): void {
  const numbers = (text: string) => text.split(/[.-]/).slice(0, 3).map(Number)
  const [actual, needed] = [numbers(version), numbers(serverVersionMinimum)]
  const difference = needed.map((number, i) => (actual[i] ?? Number.NaN) - number).find((step) => step !== 0) ?? 0
  if (difference >= 0) return
  throw new Error(
    `nats-server ${version} is too old: it accepts conditional writes that contradict each other. ` +
      `Run ${serverVersionMinimum} or newer (scripts/setup installs one)`,
  )
}
