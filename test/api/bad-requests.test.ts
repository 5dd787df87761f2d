import { beforeAll, describe, expect, test } from 'bun:test'
import { badRequests, type GroundIds, goodBalancer } from '../lab/bad-requests.ts'
import { expectRefusal } from './api-ground.ts'
import { createTestWorld, type TestWorld } from './api-world.ts'

let world: TestWorld
let ids: GroundIds
beforeAll(async () => {
  world = await createTestWorld()
  ids = await declareGround()
  await world.settle()
})

/** As in the lab, where the same is asked of a controller with hosts. */
async function declareGround(): Promise<GroundIds> {
  const create = async (noun: string, body: object) => String((await world.create(`/v1/${noun}`, body)).id)
  const projectId = await create('projects', { name: 'ground', user: 'john', quota: { machines: 1 } })
  const otherId = await create('projects', { name: 'other', user: 'john' })
  const networkId = await create('networks', { name: 'web', projectId })
  const poolId = await create('pools', { name: 'web', projectId, cidr: '10.9.0.0/20' })
  const shardId = await create('shards', { name: 'web', poolId, networkId, cidr: '10.9.0.0/28' })
  const machineId = await create('machines', { name: 'web-1', projectId, networkId, address: '10.9.0.2' })
  const balancerId = await create('load-balancers', { ...goodBalancer({ projectId, networkId }), instanceCount: 1 })
  return { projectId, otherId, networkId, poolId, shardId, machineId, balancerId }
}

const fill = (text: string) =>
  Object.entries(ids).reduce((filled, [role, id]) => filled.replaceAll(`$${role}`, id), text)

describe('refused, with the field and the remedy, and nothing is changed:', () => {
  for (const { what, method, path, body, headers, token, status, code, field } of badRequests) {
    test(what, async () => {
      const text = typeof body === 'string' ? body : body === undefined ? undefined : fill(JSON.stringify(body))
      const options = { ...(text !== undefined && { text }), ...(headers && { headers }), ...(token && { token }) }
      const ask = () => world.call(method, fill(path), undefined, options)
      const reply = await expectRefusal(world, ask, status, code, field ?? undefined)
      expect(String(reply.body.remedy)).not.toBe('')
    })
  }
})
