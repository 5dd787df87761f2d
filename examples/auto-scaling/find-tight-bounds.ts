/**
 * Tells which balancers are as large as they may become, and would be larger if they could; and which have nothing that
 * they are scaled by. For a look each morning, or a check in a pipeline: it ends with 1 where it finds any of the first.
 *
 * @example
 * eval "$(bun sluice lab env | sed 's/^/export /')"; bun examples/auto-scaling/find-tight-bounds.ts
 */

import * as v from 'valibot'
import { pageSchema } from '../../controller/contract/common.ts'
import { loadBalancerSchema } from '../../controller/contract/load-balancer.ts'
import { type Scaling, scalingSchema } from '../../controller/contract/scaling.ts'
import { describeBounds, isTight } from './judge-bounds.ts'

const { SLUICE_ADDR: address, SLUICE_TOKEN: token } = process.env
if (address === undefined || token === undefined) {
  console.error('usage: SLUICE_ADDR=… SLUICE_TOKEN=… find-tight-bounds.ts')
  process.exit(2)
}
const scalings = await readScalings()
for (const scaling of scalings) console.log(describeBounds(scaling))
process.exit(scalings.some(isTight) ? 1 : 0)

async function readScalings(): Promise<readonly Scaling[]> {
  const found: Scaling[] = []
  let after = ''
  for (;;) {
    const page = v.parse(pageSchema(loadBalancerSchema), await get(`/v1/load-balancers?${after}`))
    for (const { id } of page.items) {
      found.push(v.parse(scalingSchema, await get(`/v1/load-balancers/${id}/scaling`)))
    }
    if (page.next === null) return found
    after = `after=${page.next}`
  }
}

async function get(path: string): Promise<unknown> {
  const response = await fetch(`${address}${path}`, { headers: { authorization: `Bearer ${token}` } })
  if (!response.ok) throw new Error(`GET ${path} was answered ${response.status}: ${await response.text()}`)
  return await response.json()
}
