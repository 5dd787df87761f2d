/** Words as haproxy reads them. Pure. */

/** haproxy takes a timeout of zero for one without end. */
export const milliseconds = (seconds: number) => `${Math.max(1, Math.round(seconds * 1000))}ms`

/** Within single quotes haproxy takes everything as it is; what can't be seen is percent-encoded, a line's end above all. */
export function quote(text: string): string {
  const visible = text.toWellFormed().replace(/[^\x20-\x7e]/gu, encodeURIComponent)
  return `'${visible.replaceAll("'", "'\\''")}'`
}
