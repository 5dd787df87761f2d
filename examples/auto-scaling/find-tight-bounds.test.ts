import { afterEach, beforeEach, expect, setDefaultTimeout, test } from 'bun:test'
import type { Scaling } from '../../controller/contract/scaling.ts'
import { createGround, type Ground } from '../../test/api/api-ground.ts'
import { describeBounds, isTight } from './judge-bounds.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

let ground: Ground
let server: ReturnType<typeof Bun.serve>
beforeEach(async () => {
  ground = await createGround()
  server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: (request) => ground.world.app.fetch(request) })
})
afterEach(async () => {
  await server.stop(true)
})

test('it tells of each balancer, and ends well where there is room', async () => {
  const { world, projectId, networkId } = ground
  const common = {
    projectId,
    networkId,
    trafficType: 'http',
    listeners: [{ port: 80 }],
    members: [{ address: '10.1.1.9' }],
  }
  await world.create('/v1/load-balancers', { ...common, name: 'fixed' })
  await world.create('/v1/load-balancers', {
    ...common,
    name: 'scaled',
    autoScaling: { maximum: 4, targets: { cpuPercent: 50 } },
  })
  await world.settle()
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/find-tight-bounds.ts`], {
    env: { ...process.env, SLUICE_ADDR: `http://127.0.0.1:${server.port}`, SLUICE_TOKEN: world.admin },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const lines = (await new Response(child.stdout).text()).trimEnd().split('\n')
  expect(lines.toSorted()).toEqual(['fixed: not scaled, 2 whatever its load', 'scaled: 2 of 2 to 4 instances'])
  expect(await child.exited).toBe(0)
})

test('a balancer that asks for more than it may have is tight', () => {
  const figures = { metric: 'cpuPercent', total: 400, perInstance: 100, limit: 50, wish: 8 } as const
  const scaling = {
    name: 'shop',
    desiredCount: 4,
    bounds: { minimum: 2, maximum: 4 },
    reasons: [{ reason: 'target', message: '', figures }],
  } as unknown as Scaling
  expect(isTight(scaling)).toBe(true)
  expect(describeBounds(scaling)).toBe('shop: 4 instances are the most that it may have, and its load asks for 8')
})
