import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { string } from './attributes.ts'
import { createProviderService } from './calls/provider-service.ts'
import { findUnkept } from './plan/conform.ts'
import { defineSchema, type Schema } from './schema.ts'
import { listen } from './server/grpc.ts'
import { createLog } from './server/log.ts'
import { connect } from './testing/client.ts'
import { littleCore } from './testing/little-core.ts'
import { memoryProvider, memoryResource } from './testing/memory.ts'
import { configOf, randomSchema, withUnknowns } from './testing/random-schemas.ts'
import type { RawObject } from './values/raw.ts'
import { decodeObject, encodeObject } from './values/wire.ts'

const folder = mkdtempSync(join(tmpdir(), 'plugin-properties-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let sockets = 0

/** Each schema is served by a provider of its own. */
async function served<T>(schema: Schema, use: (core: ReturnType<typeof littleCore>) => Promise<T>): Promise<T> {
  sockets += 1
  const socketPath = join(folder, String(sockets))
  const provider = memoryProvider([memoryResource('thing', schema, 'id')], defineSchema({}))
  const log = createLog(
    'memory',
    { TF_LOG: 'off' },
    () => {},
    () => new Date(0),
  )
  const listening = await listen({
    socketPath,
    service: createProviderService(provider, log),
    mutualTls: null,
    onShutdown: () => {},
  })
  const client = connect(socketPath)
  try {
    await client.call('ConfigureProvider', { config: encodeObject({}, {}) })
    return await use(littleCore(client, 'memory_thing', schema.fields))
  } finally {
    client.close()
    await listening.close(0)
  }
}

const identified = randomSchema.map(({ fields, ...schema }) => ({
  ...schema,
  fields: { ...fields, id: string({ computed: true, useStateForUnknown: true }) },
}))
const withConfigs = identified.chain((schema) =>
  fc.record({ schema: fc.constant(schema), first: configOf(schema.fields), second: configOf(schema.fields) }),
)

test('values come through the wire as they were', () => {
  fc.assert(
    fc.property(withConfigs, fc.infiniteStream(fc.nat(3)), ({ schema, first }, chance) => {
      const config = withUnknowns(schema.fields, first, () => chance.next().value === 0)
      const { msgpack } = encodeObject(schema.fields, config)
      expect(decodeObject(schema.fields, { msgpack, json: new Uint8Array() })).toEqual(config)
    }),
    { numRuns: 1_000 },
  )
}, 60_000)

test('plan, apply, plan is empty: on creation and on update', async () => {
  await fc.assert(
    fc.asyncProperty(withConfigs, ({ schema, first, second }) =>
      served(schema, async (core) => {
        let state: RawObject | null = null
        for (const config of [first, second]) {
          expect((await core.validate(config)).diagnostics).toEqual([])
          const { planned } = await core.plan(config, state)
          state = await core.apply(config, state, planned)
          const refreshed: RawObject | null = state === null ? null : await core.read(state)
          expect(core.key(refreshed)).toBe(core.key(state))
          const again = await core.plan(config, refreshed)
          expect(core.key(again.planned)).toBe(core.key(refreshed))
          expect(again.requiresReplace).toEqual([])
          state = refreshed
        }
        const gone = await core.plan(null, state)
        expect(await core.apply(null, state, gone.planned)).toBeNull()
      }),
    ),
    { numRuns: 150 },
  )
}, 60_000)

test('what was planned while something was unknown still holds when all is known', async () => {
  await fc.assert(
    fc.asyncProperty(withConfigs, fc.infiniteStream(fc.nat(4)), ({ schema, first, second }, chance) =>
      served(schema, async (core) => {
        const created = await core.apply(first, null, (await core.plan(first, null)).planned)
        for (const prior of [null, created]) {
          const config = withUnknowns(schema.fields, second, () => chance.next().value === 0)
          const early = await core.plan(config, prior)
          const late = await core.plan(second, prior)
          if (early.planned === null || late.planned === null) throw new Error('nothing was planned')
          expect(findUnkept(schema.fields, early.planned, late.planned)).toEqual([])
        }
      }),
    ),
    { numRuns: 100 },
  )
}, 60_000)
