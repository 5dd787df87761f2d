import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { doorsProvider } from './example.ts'
import { littleCore } from './testing/little-core.ts'
import { serveForTest } from './testing/served.ts'

const read = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8')

test('the README has the example word for word', () => {
  const [, ...code] = read('./example.ts').split('*/\n\n')
  expect(read('./README.md')).toContain(['```ts', `${code.join('*/\n\n')}${'```'}`, ''].join('\n'))
})

test('a door is made, changed, found again and taken away', async () => {
  const { client, close } = await serveForTest(doorsProvider)
  const fields = doorsProvider.resources?.[0]?.schema.fields ?? {}
  const core = littleCore(client, 'doors_door', fields)
  await client.call('ConfigureProvider', {})
  const config = { id: null, name: 'front', port: null, isLocked: null, timeouts: { create: '5s' } }
  const made = await core.apply(config, null, (await core.plan(config, null)).planned)
  expect(made).toEqual({ id: 'front', name: 'front', port: 80, isLocked: true, timeouts: { create: '5s' } })
  const opened = { ...config, isLocked: false }
  const changed = await core.apply(opened, made, (await core.plan(opened, made)).planned)
  expect(changed).toMatchObject({ id: 'front', isLocked: false })
  const twice = await client.call('ApplyResourceChange', await core.creation(config))
  expect(twice.diagnostics[0]).toMatchObject({
    summary: 'There is a door front already',
    attribute: { steps: [{ attributeName: 'name' }] },
  })
  const renamed = await core.plan({ ...config, name: 'back' }, changed)
  expect(renamed.requiresReplace).toHaveLength(1)
  expect(await core.apply(null, changed, null)).toBeNull()
  await close()
})
