/** Versions as programs print them. Pure. */

/** The first version in a text: two or three numbers. */
export function parseVersion(text: string): string | undefined {
  return /(\d+\.\d+(?:\.\d+)?)/.exec(text)?.[1]
}

/**
 * @example
 * isVersionAtLeast('2.15.2', '2.9') // true: numbers are compared, not letters
 */
export function isVersionAtLeast(version: string, least: string): boolean {
  const numbers = version.split('.').map(Number)
  const wanted = least.split('.').map(Number)
  for (let position = 0; position < Math.max(numbers.length, wanted.length); position++) {
    const difference = (numbers[position] ?? 0) - (wanted[position] ?? 0)
    if (difference !== 0) return difference > 0
  }
  return true
}
