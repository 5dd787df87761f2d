import { beforeAll, describe, expect, test } from 'bun:test'
import { badRequests, declareGround, fillRoles, type GroundIds } from '../lab/bad-requests.ts'
import { expectRefusal } from './api-ground.ts'
import { createTestWorld, type TestWorld } from './api-world.ts'

let world: TestWorld
let ids: GroundIds
beforeAll(async () => {
  world = await createTestWorld()
  ids = await declareGround(async (noun, body) => String((await world.create(`/v1/${noun}`, body)).id))
  await world.settle()
})

const fill = (text: string) => fillRoles(ids, text)

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
