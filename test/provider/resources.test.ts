/**
 * Random objects of every kind through the provider's wire, against a controller in memory: a plan comes true, and once
 * it is applied nothing is left to plan. PROVIDER_RUNS says how many, PROVIDER_SEED
 * which:
 *   PROVIDER_RUNS=1000 bun test test/provider/resources.test.ts
 */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { littleCore } from '../../provider/plugin/testing/little-core.ts'
import { serveForTest } from '../../provider/plugin/testing/served.ts'
import type { RawObject } from '../../provider/plugin/values/raw.ts'
import { decodeObject, encodeObject } from '../../provider/plugin/values/wire.ts'
import { createProvider } from '../../provider/provider.ts'
import { createRandomGround } from './random-ground.ts'
import { type RandomGround, type RandomObject, randomObject } from './random-objects.ts'
import { type ServedWorld, serveTestWorld } from './served-world.ts'

const runs = Number(process.env.PROVIDER_RUNS ?? 25)
const seed = Number(process.env.PROVIDER_SEED ?? 1)
setDefaultTimeout(30_000 + runs * 1000)

type Served = Awaited<ReturnType<typeof serveForTest>>
let world: ServedWorld
let provider: ReturnType<typeof createProvider>
let served: Served
let ground: RandomGround

beforeAll(async () => {
  world = await serveTestWorld()
  const environment = { SLUICE_ADDR: world.url, SLUICE_TOKEN: world.admin }
  provider = createProvider({ environment, fetch, creationsFolder: null, run: '' })
  served = await serveForTest(provider)
  await served.client.call('ConfigureProvider', { config: encodeObject(provider.schema.fields, {}) })
  ground = await createRandomGround(world)
})

afterAll(async () => {
  await served?.close()
  await world?.close()
})

const coreOf = (type: string) => {
  const resource = provider.resources?.find(({ name }) => name === type)
  if (resource === undefined) throw new Error(`BUG: there is no ${type}`)
  const { fields } = resource.schema
  /** A fraction is written in HCL, and has no rounding of JavaScript's. */
  const write = (config: RawObject) =>
    decodeObject(fields, { json: new Uint8Array(), ...encodeObject(fields, config) }) ?? {}
  return { ...littleCore(served.client, `sluice_${type}`, fields), write }
}
type Core = ReturnType<typeof coreOf>

/** Applied, then read and planned again: all three are the same. */
async function settle(core: Core, config: RawObject, prior: RawObject | null): Promise<RawObject> {
  const checked = await core.validate(config)
  expect(checked.diagnostics).toEqual([])
  const { planned, requiresReplace } = await core.plan(config, prior)
  expect(requiresReplace).toEqual([])
  const state = await core.apply(config, prior, planned)
  if (state === null) throw new Error('BUG: nothing was made')
  const again = await core.plan(config, state)
  expect(again.planned).toEqual(state)
  const read = await core.read(state)
  if (read === null) throw new Error('BUG: what was made is gone')
  const afterwards = await core.plan(config, read)
  expect(afterwards.planned).toEqual(read)
  return read
}

async function live({ type, first, second }: RandomObject): Promise<void> {
  const core = coreOf(type)
  const made = await settle(core, core.write(first), null)
  const changed = await settle(core, core.write(second), made)
  expect(changed.id).toBe(made.id ?? null)
  const { planned } = await core.plan(null, changed)
  expect(await core.apply(null, changed, planned)).toBeNull()
  expect(await core.read(changed)).toBeNull()
}

test(`${runs} random objects become what was planned, then there is nothing to plan, and they go`, async () => {
  await fc.assert(fc.asyncProperty(randomObject(ground), live), { numRuns: runs, seed, endOnFailure: true })
})
