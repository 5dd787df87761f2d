import { describe, expect, test } from 'bun:test'
import { littleProvider } from './little-provider.ts'
import type { AttributeModel, NounModel, ProviderModel } from './noun-model.ts'
import { readProvider } from './read-provider.ts'
import { classNameOf, renderBindings } from './render-bindings.ts'

const files = new Map(renderBindings(readProvider(littleProvider)).map(({ path, text }) => [path, text]))
const textOf = (path: string) => files.get(path) ?? `no ${path}`

describe('the bindings of a little provider', () => {
  test('are a file for each noun, and one that has them all', () => {
    const paths = ['data-note.ts', 'index.ts', 'note-outputs.ts', 'note.ts', 'provider.ts']
    expect([...files.keys()].toSorted()).toEqual(paths)
    expect(textOf('index.ts')).toContain("export * from './data-note.ts'\nexport * from './note-outputs.ts'")
  })

  const rows: readonly (readonly [string, string, string])[] = [
    ['what is required is so in TypeScript', 'note.ts', 'readonly title: string\n'],
    ['what is optional may be left out', 'note.ts', 'readonly size?: number | undefined'],
    ['a choice is offered, and a token is let in', 'note.ts', "readonly color?: Text<'red' | 'blue'> | undefined"],
    ['a default is told', 'note.ts', 'Default: `"red"`.'],
    ['a replacement is told', 'note.ts', 'Another value makes another object.'],
    ['a validator is told', 'note.ts', 'Must be a port, 1 to 65535.'],
    ['an object within has an interface', 'note.ts', 'export interface NoteLinks {'],
    [
      'and a class of what is given out',
      'note-outputs.ts',
      'export class NoteLinksOutput extends cdktf.ComplexObject {',
    ],
    ['a list of them is indexed', 'note.ts', 'get links(): OutputList<NoteLinksOutput> {'],
    ['a block is none of the attributes', 'note.ts', 'timeouts: block({ create: string }),'],
    ['a data source is told from a resource', 'data-note.ts', 'export class DataTestNote extends DataSource<'],
    ['of the provider there may be several', 'provider.ts', 'readonly alias?: string | undefined'],
  ]
  for (const [sentence, path, text] of rows) test(sentence, () => expect(textOf(path)).toContain(text))

  test('what is never read back is not given out', () => {
    expect(textOf('note.ts')).toContain('readonly password?: string')
    expect(textOf('note.ts')).not.toContain('get password')
  })

  test('what only the provider decides is not given', () => {
    expect(textOf('note.ts')).not.toContain('readonly revision')
    expect(textOf('note.ts')).toContain('get revision(): number {')
  })
})

describe('what a binding can not have is a mistake of the schema', () => {
  const attribute = (name: string, type: AttributeModel['type']): AttributeModel => ({
    name,
    property: name,
    description: '',
    type,
    isRequired: false,
    isOptional: false,
    isSensitive: false,
    isWriteOnly: false,
    replaces: 'never',
    defaultText: null,
    constraints: [],
  })
  const noun = (...attributes: readonly AttributeModel[]): NounModel => ({
    kind: 'resource',
    name: 'test_thing',
    description: '',
    rules: [],
    attributes,
    blocks: [],
    importId: null,
  })
  const modelOf = (resource: NounModel): ProviderModel => ({
    provider: { ...noun(), kind: 'provider', name: 'test' },
    resources: [resource],
    dataSources: [],
    ephemeralResources: [],
    functions: [],
  })
  const text = { kind: 'string', oneOf: null } as const

  test('an attribute by the name of something of cdktf', () => {
    expect(() => renderBindings(modelOf(noun(attribute('lifecycle', text))))).toThrow('test_thing.lifecycle')
  })

  test('a list of lists', () => {
    const lists = { kind: 'list', of: { kind: 'list', of: text } } as const
    expect(() => renderBindings(modelOf(noun(attribute('rows', lists))))).toThrow('a list of lists')
  })

  test('names of classes follow those of nouns', () => {
    expect(classNameOf({ ...noun(), name: 'sluice_load_balancer' })).toBe('LoadBalancer')
    expect(classNameOf({ ...noun(), kind: 'data-source', name: 'sluice_pools' })).toBe('DataSluicePools')
    expect(classNameOf({ ...noun(), kind: 'provider', name: 'sluice' })).toBe('SluiceProvider')
  })
})
