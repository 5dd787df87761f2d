import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { encode } from '@msgpack/msgpack'
import type { Fields } from '../attributes.ts'
import { testProvider } from '../test-provider.ts'
import { serveForTest } from '../testing/served.ts'
import { unknown } from '../unknown.ts'
import type { Raw, RawObject } from '../values/raw.ts'
import { decodeObject, decodeValue, encodeObject, encodeValue } from '../values/wire.ts'

const [note] = testProvider.resources ?? []
const fields: Fields = note?.schema.fields ?? {}
const typeName = 'test_note'

let served: Awaited<ReturnType<typeof serveForTest>>
beforeAll(async () => {
  served = await serveForTest(testProvider)
  await configure(served.folder)
})
afterAll(() => served.close())

const configure = (folder: Raw) =>
  served.client.call('ConfigureProvider', { config: encodeObject(testProvider.schema.fields, { folder }) })

const whole = (some: RawObject): RawObject => ({
  ...Object.fromEntries(Object.keys(fields).map((name) => [name, null])),
  ...some,
})
const encoded = (raw: RawObject | null) => encodeObject(fields, raw)

async function plan(config: RawObject | null, prior: RawObject | null = null) {
  const answer = await served.client.call('PlanResourceChange', {
    typeName,
    config: encoded(config),
    priorState: encoded(prior),
    proposedNewState: encoded(config),
  })
  return { ...answer, planned: decodeObject(fields, answer.plannedState) }
}

async function apply(config: RawObject | null, prior: RawObject | null = null) {
  const { planned } = await plan(config, prior)
  const answer = await served.client.call('ApplyResourceChange', {
    typeName,
    config: encoded(config),
    priorState: encoded(prior),
    plannedState: encoded(planned),
  })
  return { ...answer, state: decodeObject(fields, answer.newState) }
}

/** Until a note is there that was not when it was asked. */
async function begun(): Promise<void> {
  const count = () => served.logged().filter((line) => line['@message'] === 'created a note').length
  const before = count()
  for (let turn = 0; turn < 2000 && count() === before; turn += 1) await Bun.sleep(5)
}

const summaries = ({ diagnostics }: { readonly diagnostics: readonly { readonly summary: string }[] }) =>
  diagnostics.map(({ summary }) => summary)

describe('schemas', () => {
  test('attributes and blocks are as declared, and metadata names the same', async () => {
    const schema = await served.client.call('GetProviderSchema', {})
    const metadata = await served.client.call('GetMetadata', {})
    expect(metadata.resources).toEqual([{ typeName: 'test_note' }])
    expect(metadata.functions).toEqual([{ name: 'shout' }])
    expect(schema.serverCapabilities).toEqual({
      planDestroy: true,
      getProviderSchemaOptional: true,
      moveResourceState: false,
    })
    const block = schema.resourceSchemas.test_note?.block as unknown as {
      attributes: readonly {
        name: string
        type: Uint8Array
        nestedType?: { nesting: number; attributes: readonly { name: string }[] }
      }[]
      blockTypes: readonly { typeName: string; nesting: number }[]
    }
    const attribute = (name: string) => block.attributes.find((one) => one.name === name)
    expect(attribute('title')).toMatchObject({
      required: true,
      optional: false,
      computed: false,
      description: 'One line.',
    })
    expect(attribute('color')).toMatchObject({ required: false, optional: true, computed: true })
    expect(attribute('password')).toMatchObject({ optional: true, writeOnly: true })
    expect(attribute('secret')).toMatchObject({ sensitive: true })
    expect(Buffer.from(attribute('tags')?.type ?? []).toString()).toBe('["set","string"]')
    expect(attribute('links')?.nestedType?.nesting).toBe(2)
    expect(attribute('links')?.nestedType?.attributes.map(({ name }) => name)).toEqual(['port', 'host', 'url'])
    expect(block.blockTypes).toMatchObject([{ typeName: 'timeouts', nesting: 1 }])
  })

  test('identities are none, and states do not move between types', async () => {
    expect((await served.client.call('GetResourceIdentitySchemas', {})).diagnostics).toEqual([])
    const moved = await served.client.call('MoveResourceState', {
      sourceTypeName: 'other_note',
      targetTypeName: typeName,
    })
    expect(summaries(moved)).toEqual(["A other_note can't be moved to a test_note"])
  })
})

describe('a configuration is refused offline, with the path of the attribute', () => {
  const rows: readonly (readonly [string, RawObject, string, readonly object[]])[] = [
    ['a validator', { title: 'a\nb' }, 'title must be one line', [{ attributeName: 'title' }]],
    ['a choice', { title: 'a', color: 'green' }, 'color must be one of "red", "blue"', [{ attributeName: 'color' }]],
    [
      'within a list',
      {
        title: 'a',
        links: [
          { port: 1, host: null, url: null },
          { port: 70_000, host: null, url: null },
        ],
      },
      'links[1].port must be a port, 1 to 65535',
      [{ attributeName: 'links' }, { elementKeyInteger: 1 }],
    ],
    [
      'null in a map',
      { title: 'a', labels: { camelCase: null } },
      'labels["camelCase"] must not be null',
      [{ attributeName: 'labels' }, { elementKeyString: 'camelCase' }],
    ],
    ['null in a set', { title: 'a', tags: [null] }, 'tags must not be null', [{ attributeName: 'tags' }]],
    [
      'a timeout',
      { title: 'a', timeouts: { create: 'soon' } },
      'timeouts.create must be a duration, such as "90s" or "1h30m"',
      [{ attributeName: 'timeouts' }, { attributeName: 'create' }],
    ],
  ]
  for (const [what, config, summary, steps] of rows) {
    test(what, async () => {
      const answer = await served.client.call('ValidateResourceConfig', { typeName, config: encoded(whole(config)) })
      expect(summaries(answer)).toEqual([summary])
      expect(answer.diagnostics[0]?.attribute?.steps.map(withoutAbsent)).toEqual([...steps])
    })
  }

  test('what is not known yet is not wrong yet', async () => {
    const config = whole({ title: unknown, color: unknown, tags: [unknown], links: unknown })
    expect(
      (await served.client.call('ValidateResourceConfig', { typeName, config: encoded(config) })).diagnostics,
    ).toEqual([])
  })
})

const withoutAbsent = (step: object) =>
  Object.fromEntries(Object.entries(step).filter(([, value]) => value !== undefined))

describe('a resource', () => {
  test('is made as planned, and its password is nowhere', async () => {
    const config = whole({ title: 'made', password: 'hidden', weight: 3 })
    const { planned } = await plan(config)
    expect(planned).toMatchObject({ id: unknown, color: 'red', size: unknown, password: null })
    const { state, diagnostics } = await apply(config)
    expect(diagnostics).toEqual([])
    expect(state).toMatchObject({ title: 'made', color: 'red', size: 4, revision: 1, password: null, weight: 3 })
    expect(served.logged().find((line) => line.id === state?.id)).toMatchObject({ '@level': 'info', hasPassword: true })
  })

  test('is changed in place, or made anew where the schema or the resource says so', async () => {
    const { state } = await apply(whole({ title: 'first' }))
    const renamed = await plan(whole({ title: 'second' }), state)
    expect(renamed.requiresReplace).toEqual([])
    expect(renamed.planned).toMatchObject({ id: state?.id ?? '', revision: unknown })
    const recolored = await plan(whole({ title: 'first', color: 'blue' }), state)
    expect(recolored.requiresReplace.map(({ steps }) => steps.map(withoutAbsent))).toEqual([
      [{ attributeName: 'color' }],
    ])
    const moved = await plan(whole({ title: 'moved' }), state)
    expect(moved.requiresReplace.map(({ steps }) => steps.map(withoutAbsent))).toEqual([[{ attributeName: 'title' }]])
  })

  test('whose timeouts alone are others is not asked to change', async () => {
    const { state } = await apply(whole({ title: 'timed' }))
    const { state: after } = await apply(whole({ title: 'timed', timeouts: { create: '7s' } }), state)
    expect(after).toEqual({ ...state, timeouts: { create: '7s' } } as RawObject)
  })

  test('that fails in the middle of creation stays known', async () => {
    const { state, diagnostics } = await apply(whole({ title: 'broken' }))
    expect(diagnostics[0]?.summary).toBe('Creating test_note failed: the pencil broke')
    expect(diagnostics[0]?.detail).toContain('fault in the provider')
    expect(state).toMatchObject({ title: 'broken', revision: null })
    expect(state?.id).toBeString()
  })

  test('that takes longer than its timeout is given up', async () => {
    const { state, diagnostics } = await apply(whole({ title: 'slow', timeouts: { create: '50ms' } }))
    expect(diagnostics.map(({ summary }) => summary)).toEqual([
      'Creating test_note was not finished: it took longer than its timeout of 0.05 s',
    ])
    expect(state).toMatchObject({ title: 'slow', timeouts: { create: '50ms' } })
  })

  test('that is interrupted when all that was planned is there has been made, with a warning', async () => {
    await configure(served.folder)
    const slow = apply(whole({ title: 'slow at last' }))
    await begun()
    await served.client.call('StopProvider', {})
    const { state, diagnostics } = await slow
    expect(diagnostics).toMatchObject([
      { severity: 2, summary: 'This test_note is made, but the run was interrupted before it was ready' },
    ])
    expect(state).toMatchObject({ title: 'slow at last', revision: 1, size: 12 })
    await configure(served.folder)
  })

  test('is given up when the user interrupts, as is one that comes later, and that of the next run is not', async () => {
    const slow = apply(whole({ title: 'slow' }))
    await begun()
    await served.client.call('StopProvider', {})
    const interrupted = 'Creating test_note was not finished: the run was interrupted'
    expect(summaries(await slow)).toEqual([interrupted])
    const late = await apply(whole({ title: 'late' }))
    expect(late.state).toBeNull()
    expect(summaries(late)).toEqual([interrupted])
    await configure(served.folder)
    expect((await apply(whole({ title: 'next' }))).diagnostics).toEqual([])
  })

  test('that is gone is read as nothing, and deleted all the same', async () => {
    const { state } = await apply(whole({ title: 'gone' }))
    expect((await apply(null, state)).state).toBeNull()
    const read = await served.client.call('ReadResource', { typeName, currentState: encoded(state) })
    expect(decodeObject(fields, read.newState)).toBeNull()
    expect((await apply(null, state)).diagnostics).toEqual([])
  })

  test('is imported by its id, and an id that names none says so', async () => {
    const { state } = await apply(whole({ title: 'found' }))
    const id = String(state?.id)
    const found = await served.client.call('ImportResourceState', { typeName, id })
    expect(decodeObject(fields, found.importedResources[0]?.state)).toEqual(state)
    expect(summaries(await served.client.call('ImportResourceState', { typeName, id: 'x' }))).toEqual([
      'There is no note "x"',
    ])
  })

  test('keeps the digits of a number that a float can not hold', async () => {
    const third = `0.${'3'.repeat(60)}`
    const config = decodeObject(fields, {
      msgpack: encode({ ...wire, title: 'third', weight: third }),
      json: new Uint8Array(),
    })
    const { state, diagnostics } = await apply(config)
    expect(diagnostics).toEqual([])
    expect(state?.weight).toMatchObject({ text: third })
  })

  test('of 5 MiB comes through, both ways', async () => {
    const title = 'x'.repeat(5 * 2 ** 20)
    expect((await apply(whole({ title, size: 1 }))).state?.title).toHaveLength(title.length)
  }, 30_000)
})

const wire = {
  id: null,
  title: null,
  color: null,
  size: null,
  weight: null,
  revision: null,
  password: null,
  secret: null,
  tags: null,
  labels: null,
  links: null,
  timeouts: null,
}

describe('a state of before', () => {
  const upgrade = (version: number, state: object) =>
    served.client.call('UpgradeResourceState', {
      typeName,
      version,
      rawState: { json: Buffer.from(JSON.stringify(state)) },
    })

  test('goes through the steps up to today, and loses what is no more', async () => {
    const { upgradedState } = await upgrade(0, { id: '1', headline: 'old', weight: 0.1, gone: [1] })
    expect(decodeObject(fields, upgradedState)).toMatchObject({
      id: '1',
      title: 'old',
      color: null,
      weight: { text: '0.1' },
    })
  })

  test('of a newer version is refused', async () => {
    expect(summaries(await upgrade(2, {}))).toEqual(['The state was written by a newer version of this provider'])
  })
})

describe('beside resources', () => {
  test('a data source answers, or points at what it was asked with', async () => {
    const source = testProvider.dataSources?.[0]?.schema.fields ?? {}
    const { state } = await apply(whole({ title: 'looked up' }))
    const read = (id: Raw) =>
      served.client.call('ReadDataSource', { typeName, config: encodeObject(source, { id, title: null }) })
    expect(decodeObject(source, (await read(state?.id ?? '')).state)).toMatchObject({ title: 'looked up' })
    const missing = await read('nowhere')
    expect(missing.diagnostics[0]).toMatchObject({
      summary: 'There is no such note',
      attribute: { steps: [{ attributeName: 'id' }] },
    })
  })

  test('an ephemeral resource is opened, renewed and closed', async () => {
    const pass = testProvider.ephemeralResources?.[0]?.schema.fields ?? {}
    const opened = await served.client.call('OpenEphemeralResource', {
      typeName: 'test_pass',
      config: encodeObject(pass, { length: null, word: null }),
    })
    expect(decodeObject(pass, opened.result)).toEqual({ length: 8, word: 'xxxxxxxx' })
    const handle = opened.private ?? new Uint8Array()
    const renewed = await served.client.call('RenewEphemeralResource', { typeName: 'test_pass', private: handle })
    expect(renewed.renewAt?.seconds).toBeGreaterThan(Date.now() / 1000)
    await served.client.call('CloseEphemeralResource', { typeName: 'test_pass', private: renewed.private ?? handle })
    expect(served.logged().find((line) => line['@message'] === 'closed')).toMatchObject({ length: 8 })
  })

  test('a function answers, and its errors point at arguments', async () => {
    const text = { kind: 'string', oneOf: null } as const
    const shout = (word: Raw, times: Raw) =>
      served.client.call('CallFunction', {
        name: 'shout',
        arguments: [encodeValue(text, word), encodeValue({ kind: 'integer' }, times)],
      })
    expect(decodeValue(text, (await shout('hi', 2)).result)).toBe('HI!!')
    expect(decodeValue(text, (await shout('hi', null)).result)).toBe('HI!')
    expect((await shout('', 1)).error).toEqual({ text: 'There is nothing to shout', functionArgument: 0 })
    expect((await served.client.call('CallFunction', { name: 'whisper' })).error?.text).toBe(
      'This provider has no function whisper',
    )
  })
})

describe('trouble on the way', () => {
  test('a type that is not there', async () => {
    expect(summaries(await served.client.call('ReadResource', { typeName: 'test_nothing' }))).toEqual([
      'This provider has no test_nothing',
    ])
  })

  test('a value that is garbled', async () => {
    const garbled = { msgpack: Uint8Array.of(0x81, 0xa5, 0x74) }
    for (const name of ['ValidateResourceConfig', 'PlanResourceChange', 'ApplyResourceChange'] as const) {
      const answer = await served.client.call(name, {
        typeName,
        config: garbled,
        priorState: garbled,
        plannedState: garbled,
        proposedNewState: garbled,
      } as never)
      expect(summaries(answer as never)).toEqual(['A value is not well-formed MessagePack'])
    }
  })

  test('a plan that is garbled does not lose the object', async () => {
    const { state } = await apply(whole({ title: 'kept' }))
    const answer = await served.client.call('ApplyResourceChange', {
      typeName,
      priorState: encoded(state),
      plannedState: { msgpack: Uint8Array.of(0x81, 0xa5, 0x74) },
      config: encoded(state),
    })
    expect(summaries(answer)).toEqual(['A value is not well-formed MessagePack'])
    expect(decodeObject(fields, answer.newState)).toEqual(state)
  })

  test('a message that is cut off is an error of the call, and the provider goes on', async () => {
    const outcome = await served.client.send('ReadResource', Uint8Array.of(0x0a, 0x7f, 0x61)).catch(String)
    expect(outcome).toContain('Error deserializing request')
    expect((await served.client.call('GetMetadata', {})).resources).toHaveLength(1)
  })

  test('a provider whose configuration is not known yet plans, and says why it can do no more', async () => {
    await configure(unknown)
    expect((await plan(whole({ title: 'early' }))).diagnostics).toEqual([])
    const state = whole({ id: '1', title: 'early', color: 'red', size: 1, revision: 1 })
    const read = await served.client.call('ReadResource', { typeName, currentState: encoded(state) })
    expect(summaries(read)).toEqual(["The provider's configuration is not known yet"])
    await configure(served.folder)
  })
})
