/**
 * Renews what runs on the members of a load balancer, one after the other, so that no request is cut: each is told to drain,
 * a command is run once nothing of it is left anywhere, and it is taken in again and waited for before the next one's turn.
 *
 * @example
 * eval "$(bun sluice lab env | sed 's/^/export /')"
 * bun examples/load-balancing/roll-members.ts lb_… ./restart-web.sh   # run with the member's address as its last word
 */

import * as v from 'valibot'
import { type Member, memberSchema } from '../../controller/contract/load-balancer.ts'

const pollMilliseconds = 200
/** Longer than any drain may take. */
const patienceMilliseconds = 3_700_000

const [loadBalancerId, ...command] = process.argv.slice(2)
const { SLUICE_ADDR: address, SLUICE_TOKEN: token } = process.env
if (loadBalancerId === undefined || command.length === 0 || address === undefined || token === undefined) {
  console.error('usage: SLUICE_ADDR=… SLUICE_TOKEN=… roll-members.ts LOAD-BALANCER-ID COMMAND…')
  process.exit(2)
}
const members = `/v1/load-balancers/${loadBalancerId}/members`
const { items } = v.parse(v.object({ items: v.array(memberSchema) }), await call('GET', members))
for (const member of items) await renew(member)

async function renew({ id, address: ownAddress, host }: Member): Promise<void> {
  const name = ownAddress ?? host ?? id
  await call('PATCH', `${members}/${id}`, { draining: true })
  await untilStatus(id, 'drained')
  console.log(`${name} is drained`)
  const { exitCode } = Bun.spawnSync([...command, name], { stdout: 'inherit', stderr: 'inherit' })
  // It stays out, and the others are left alone: somebody should look at it.
  if (exitCode !== 0) throw new Error(`${command.join(' ')} ${name} ended with ${exitCode}`)
  await call('PATCH', `${members}/${id}`, { draining: false })
  await untilStatus(id, 'healthy')
  console.log(`${name} serves again`)
}

async function untilStatus(id: string, wanted: Member['status']): Promise<void> {
  const deadline = performance.now() + patienceMilliseconds
  for (;;) {
    const { status } = v.parse(memberSchema, await call('GET', `${members}/${id}`))
    if (status === wanted) return
    if (performance.now() > deadline) throw new Error(`the member ${id} is ${status}, and not ${wanted}`)
    await Bun.sleep(pollMilliseconds)
  }
}

async function call(method: string, path: string, body?: unknown): Promise<unknown> {
  const response = await fetch(`${address}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const answer: unknown = await response.json()
  if (!response.ok) throw new Error(`${method} ${path} was answered ${response.status}: ${JSON.stringify(answer)}`)
  return answer
}
