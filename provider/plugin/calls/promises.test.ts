import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { integer, string } from '../attributes.ts'
import { withClient } from '../define.ts'
import { errorDiagnostic, ProviderError, warningDiagnostic } from '../diagnostics.ts'
import { defineSchema } from '../schema.ts'
import { serveForTest } from '../testing/served.ts'
import type { RawObject } from '../values/raw.ts'
import { decodeObject, encodeObject } from '../values/wire.ts'
import { type CallName, providerCalls } from '../wire/tfplugin6.ts'

const { defineProvider, defineResource, defineDataSource } = withClient<null>()

const schema = defineSchema({
  attributes: {
    id: string({ computed: true, useStateForUnknown: true }),
    name: string({ required: true }),
    size: integer({ optional: true, computed: true }),
    secret: string({ optional: true, sensitive: true }),
  },
})
const { fields } = schema
type Made = { readonly id: string; readonly name: string; readonly size: number; readonly secret?: string | null }
const base = { schema, read: () => null, delete: () => undefined } as const
const answering = (name: string, make: (name: string) => unknown) =>
  defineResource({ ...base, name, create: ({ desired }) => make(desired.name) as Made })

const provider = defineProvider({
  name: 'odd',
  schema: defineSchema({}),
  configure: () => null,
  resources: [
    answering('renaming', (name) => ({ id: '1', name: `${name}!`, size: 1 })),
    answering('forgetful', (name) => ({ id: '1', name })),
    answering('mistaken', (name) => ({ id: '1', name, size: '1' })),
    answering('telling', (name) => ({ id: '1', name, size: 1, secret: 'other' })),
    answering('throwing', () => {
      throw new TypeError('undefined is not a function')
    }),
    answering('talkative', (name) => ({ id: '1', name, size: 1, shardKey: 'not in the schema' })),
    defineResource({
      ...base,
      name: 'stubborn',
      create: () => ({ id: '1', name: 'mine', size: 1 }),
      modifyPlan: () => ({ planned: { name: 'mine' } }),
    }),
    defineResource({
      ...base,
      name: 'remembering',
      create: ({ desired }, { privateState, report }) => {
        report(warningDiagnostic('it was planned', { path: ['name'] }))
        const size = Number(privateState.get('planned'))
        privateState.set('planned', undefined)
        privateState.set('made', { of: desired.name })
        return { id: '1', name: desired.name, size }
      },
      read: ({ state }, { privateState }) => ({ ...state, size: JSON.stringify(privateState.get('made')).length }),
      modifyPlan: (_input, { privateState }) => {
        privateState.set('planned', 7)
        return undefined
      },
    }),
    defineResource({
      ...base,
      name: 'half',
      create: ({ desired }, { keep }) => {
        keep({ id: '7', name: desired.name })
        throw new ProviderError([
          errorDiagnostic('the other half is missing'),
          errorDiagnostic('and the third', { path: ['size'] }),
        ])
      },
      update: ({ changes }) => {
        throw new Error(`can't change ${Object.keys(changes).join()}`)
      },
    }),
  ],
  dataSources: [
    defineDataSource({
      name: 'renaming',
      schema: defineSchema({ attributes: { name: string({ required: true }) } }),
      read: () => ({ name: 'other' }),
    }),
  ],
})

let served: Awaited<ReturnType<typeof serveForTest>>
beforeAll(async () => {
  served = await serveForTest(provider)
  await served.client.call('ConfigureProvider', {})
})
afterAll(() => served.close())

const config: RawObject = { id: null, name: 'a', size: null, secret: null }
const nothing = encodeObject({}, null)

async function plan(typeName: string, prior: RawObject | null = null, wanted = config) {
  return served.client.call('PlanResourceChange', {
    typeName,
    config: encodeObject(fields, wanted),
    priorState: encodeObject(fields, prior),
    proposedNewState: encodeObject(fields, wanted),
  })
}

async function apply(typeName: string, prior: RawObject | null = null, wanted = config) {
  const { plannedState, plannedPrivate } = await plan(typeName, prior, wanted)
  const answer = await served.client.call('ApplyResourceChange', {
    typeName,
    config: encodeObject(fields, wanted),
    priorState: encodeObject(fields, prior),
    plannedState: plannedState ?? nothing,
    plannedPrivate,
  })
  return { ...answer, state: decodeObject(fields, answer.newState) }
}

describe('a promise that is broken is told by attribute, and what was made is not forgotten', () => {
  const rows = [
    ['odd_renaming', 'name is not as planned', 'It was planned as "a", and is "a!".', { name: 'a!' }],
    [
      'odd_telling',
      'secret is not as planned',
      'It was planned as (sensitive), and is (sensitive).',
      { secret: 'other' },
    ],
    ['odd_forgetful', 'A value is not what the schema says', 'size: it is missing', { size: null }],
    [
      'odd_mistaken',
      'A value is not what the schema says',
      'size: a whole number belongs here, and not a string',
      { size: null },
    ],
  ] as const
  for (const [typeName, summary, detail, state] of rows) {
    test(typeName, async () => {
      const answer = await apply(typeName)
      expect(answer.diagnostics[0]?.summary).toBe(summary)
      expect(answer.diagnostics[0]?.detail).toContain(detail)
      expect(answer.state).toMatchObject({ id: '1', ...state })
    })
  }

  test('a plan that overrules the user', async () => {
    const { diagnostics } = await plan('odd_stubborn')
    expect(diagnostics[0]).toMatchObject({
      summary: 'name is not as configured',
      attribute: { steps: [{ attributeName: 'name' }] },
    })
  })

  test('a data source that overrules the user', async () => {
    const asked = encodeObject({ name: string({ required: true }) }, { name: 'a' })
    const { diagnostics } = await served.client.call('ReadDataSource', { typeName: 'odd_renaming', config: asked })
    expect(diagnostics[0]?.summary).toBe('name is not as configured')
  })

  test('what the schema does not have is passed over', async () => {
    expect((await apply('odd_talkative')).diagnostics).toEqual([])
  })
})

describe('what a call is given beside values', () => {
  test('private state goes from plan to apply to read; warnings go to the user', async () => {
    const made = await apply('odd_remembering')
    expect(made.state).toMatchObject({ size: 7 })
    expect(made.diagnostics).toMatchObject([{ severity: 2, summary: 'it was planned' }])
    expect(Buffer.from(made.private).toString()).toBe('{"made":{"of":"a"}}')
    const read = await served.client.call('ReadResource', {
      typeName: 'odd_remembering',
      currentState: made.newState ?? nothing,
      private: made.private,
    })
    expect(decodeObject(fields, read.newState)).toMatchObject({ size: 10 })
  })

  test('private state of somebody else is none', async () => {
    const { newState } = await apply('odd_remembering')
    const read = await served.client.call('ReadResource', {
      typeName: 'odd_remembering',
      currentState: newState ?? nothing,
      private: Buffer.from('\u0000not ours'),
    })
    expect(read.diagnostics[0]?.summary).toContain('Reading odd_remembering failed')
  })
})

describe('what fails', () => {
  test('an exception is a diagnostic with its place, and the next call is answered', async () => {
    const { diagnostics, state } = await apply('odd_throwing')
    expect(diagnostics[0]?.summary).toBe('Creating odd_throwing failed: undefined is not a function')
    expect(diagnostics[0]?.detail).toContain('promises.test.ts')
    expect(state).toBeNull()
    expect((await apply('odd_talkative')).diagnostics).toEqual([])
  })

  test('what exists by then is in the state; a failed change leaves the state as it was', async () => {
    const made = await apply('odd_half')
    expect(made.diagnostics.map(({ summary }) => summary)).toEqual(['the other half is missing', 'and the third'])
    expect(made.state).toEqual({ id: '7', name: 'a', size: null, secret: null })
    const prior = { id: '7', name: 'a', size: 1, secret: null }
    const changed = await apply('odd_half', prior, { ...config, name: 'b' })
    expect(changed.diagnostics[0]?.summary).toBe("Updating odd_half failed: can't change name")
    expect(changed.state).toEqual(prior)
  })

  test('without an update every change needs a new object', async () => {
    const prior = { id: '1', name: 'a', size: 1, secret: null }
    const { requiresReplace } = await plan('odd_talkative', prior, { ...config, name: 'b' })
    expect(requiresReplace.map(({ steps }) => steps[0]?.attributeName)).toEqual(['name', 'size'])
  })
})

test('whatever bytes come, each call answers with an error or a diagnostic, and soon', async () => {
  const unary = Object.keys(providerCalls).filter((name) => name !== 'StopProvider') as CallName[]
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...unary), fc.uint8Array({ maxLength: 120 }), async (name, bytes) => {
      const outcome = await served.client.send(name, bytes).catch((error: unknown) => error)
      if (outcome instanceof Error) expect(outcome.message).toContain('Error deserializing request')
    }),
    { numRuns: 300 },
  )
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('PlanResourceChange', 'ApplyResourceChange', 'ReadResource'),
      fc.uint8Array({ minLength: 2, maxLength: 60 }),
      async (name, bytes) => {
        const value = { msgpack: bytes }
        const request = {
          typeName: 'odd_half',
          config: value,
          priorState: value,
          plannedState: value,
          proposedNewState: value,
          currentState: value,
        }
        const answer = await served.client.call(name as 'ReadResource', request as never)
        expect(answer.diagnostics.length).toBeGreaterThan(0)
      },
    ),
    { numRuns: 200 },
  )
  await served.client.call('ConfigureProvider', {})
  expect((await apply('odd_talkative')).diagnostics).toEqual([])
}, 20_000)
