/** collectd's plain text protocol, as far as its `exec` plugin reads it from a program: a line a point. Pure. */

import type { Point } from '../points.ts'
import type { TypeSource } from './types-db.ts'

/**
 * `PUTVAL "host/plugin-instance/type-instance" interval=10 1700000000.250:1:U`. Undefined where the point can't be told so:
 * collectd has no word for a counter that is not known.
 */
export function renderPutval(point: Point, sources: readonly TypeSource[]): string | undefined {
  if (point.values.length !== sources.length) return undefined
  const words: string[] = []
  for (const [index, value] of point.values.entries()) {
    if (sources[index]?.kind === 'GAUGE') words.push(Number.isNaN(value) ? 'U' : String(value))
    else if (Number.isInteger(value)) words.push(BigInt(value).toString())
    else return undefined
  }
  const name = `${point.host}/${join(point.plugin, point.pluginInstance)}/${join(point.type, point.typeInstance)}`
  return `PUTVAL ${quote(name)} interval=${point.intervalSeconds} ${point.timeSeconds.toFixed(3)}:${words.join(':')}`
}

const join = (name: string, instance: string) => (instance === '' ? name : `${name}-${instance}`)
const quote = (text: string) => `"${text.replaceAll(/["\\]/g, '\\$&')}"`
