/**
 * A kernel's command line as the provider takes it: a list of maps, which it writes sorted and reads back in a form of its
 * own. Written in that very form, so that what is read back is no difference. Pure.
 *
 * The order of arguments is lost: of several `console=` the last by the alphabet is the guest's own, as ttyS0 after tty0.
 */

/** @example splitCommandLine('console=ttyS0 quiet root=/dev/vda') // [{ console: 'ttyS0', root: '/dev/vda' }, { _: 'quiet' }] */
export function splitCommandLine(line: string): readonly Readonly<Record<string, string>>[] {
  const words = line.split(/\s+/).filter((word) => word !== '')
  const pairs = words.filter((word) => word.includes('=')).toSorted()
  const keyless = words.filter((word) => !word.includes('=')).toSorted()
  const maps: Record<string, string>[] = []
  for (const pair of pairs) {
    const [key, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]
    const last = maps.at(-1)
    if (last === undefined || key in last) maps.push({ [key]: value })
    else last[key] = value
  }
  return keyless.length === 0 ? maps : [...maps, { _: keyless.join(' ') }]
}
