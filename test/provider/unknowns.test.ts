/**
 * Values that are known only after apply, wherever they can be: nothing is wrong with them, a plan is made of them, and the
 * plan that is made once they are known is no other where it was known before.
 */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import type { Fields, ValueType } from '../../provider/plugin/attributes.ts'
import { findUnkept } from '../../provider/plugin/plan/conform.ts'
import { littleCore } from '../../provider/plugin/testing/little-core.ts'
import { serveForTest } from '../../provider/plugin/testing/served.ts'
import { unknown } from '../../provider/plugin/unknown.ts'
import { isRawList, isRawObject, type Raw, type RawObject } from '../../provider/plugin/values/raw.ts'
import { decodeObject, encodeObject } from '../../provider/plugin/values/wire.ts'
import { sluiceProvider } from '../../provider/provider.ts'
import { randomObject } from './random-objects.ts'

const runs = Number(process.env.PROVIDER_RUNS ?? 60)
setDefaultTimeout(30_000 + runs * 100)

let served: Awaited<ReturnType<typeof serveForTest>>
beforeAll(async () => {
  served = await serveForTest(sluiceProvider)
})
afterAll(() => served?.close())

const id = (prefix: string) => `${prefix}_${'0'.repeat(25)}`
const ground = {
  projectId: id('prj'),
  poolId: id('pol'),
  networkId: id('net'),
  machineIds: [id('mch')],
  balancerId: id('lb'),
}

const fieldsOf = (type: string): Fields => {
  const resource = sluiceProvider.resources?.find(({ name }) => name === type)
  if (resource === undefined) throw new Error(`BUG: there is no ${type}`)
  return resource.schema.fields
}

/** `isHidden` is asked for each value that is there, from without to within. */
const hideFields = (fields: Fields, raw: RawObject, isHidden: () => boolean): RawObject =>
  Object.fromEntries(
    Object.entries(raw).map(([name, value]) => {
      const field = fields[name]
      return [name, field === undefined || field.block !== null ? value : hide(field.type, value, isHidden)]
    }),
  )

function hide(type: ValueType, raw: Raw, isHidden: () => boolean): Raw {
  if (isHidden()) return unknown
  if (isRawList(raw) && (type.kind === 'list' || type.kind === 'set'))
    return raw.map((element) => hide(type.of.type, element, isHidden))
  return isRawObject(raw) && type.kind === 'object' ? hideFields(type.fields, raw, isHidden) : raw
}

/** With as many digits as the CLI gives a number. */
const write = (fields: Fields, config: RawObject) =>
  decodeObject(fields, { json: new Uint8Array(), ...encodeObject(fields, config) }) ?? {}

test(`${runs} configurations of which some is not known yet are planned as they are once it is`, async () => {
  const choices = fc.array(fc.nat(3), { minLength: 60, maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(randomObject(ground), choices, async ({ type, first }, chosen) => {
      const fields = fieldsOf(type)
      const core = littleCore(served.client, `sluice_${type}`, fields)
      const config = write(fields, first)
      let asked = 0
      const partly = write(
        fields,
        hideFields(fields, config, () => chosen[asked++ % chosen.length] === 0),
      )
      expect((await core.validate(partly)).diagnostics).toEqual([])
      const early = (await core.plan(partly, null)).planned ?? {}
      const late = (await core.plan(config, null)).planned ?? {}
      expect(findUnkept(fields, early, late)).toEqual([])
    }),
    { numRuns: runs, seed: 1, endOnFailure: true },
  )
})
