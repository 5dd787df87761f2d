import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { createTestWorld, type TestWorld } from './api-world.ts'

interface Example {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
  readonly status: number
  readonly code: string | undefined
}

/** The requests of a document's `http` blocks, in their order. */
function readExamples(file: string): readonly Example[] {
  const text = readFileSync(new URL(`../../docs/${file}`, import.meta.url), 'utf8')
  const blocks = [...text.matchAll(/^```http\n(.*?)^```$/gms)].map(([, block]) => block ?? '')
  return blocks.flatMap((block) =>
    [
      ...block.matchAll(/^(GET|POST|PATCH|DELETE) (\S+)\n((?:[A-Z][A-Za-z-]+: [^\n]*\n)*)(.*?)^→ (\d+)(?: (\S+))?$/gms),
    ].map(([, method = '', path = '', headers = '', body = '', status, code]) => ({
      method,
      path,
      headers: Object.fromEntries(headers.split('\n').flatMap((line) => (line === '' ? [] : [line.split(': ')]))),
      text: body.trim(),
      status: Number(status),
      code,
    })),
  )
}

/** Puts the ids that were answered into the places that are named for them: `{projectId}`. */
async function run(world: TestWorld, examples: readonly Example[]): Promise<void> {
  const ids: Record<string, string> = {}
  const fill = (text: string) => text.replace(/\{(\w+Id)\}/g, (place, name) => ids[name] ?? place)
  for (const { method, path, headers, text, status, code } of examples) {
    const body = text === '' ? {} : { text: fill(text) }
    const reply = await world.call(method, fill(path), undefined, { headers, ...body })
    const said = reply.body.code ?? reply.body.info?.code
    expect<unknown>({ method, path, text, status: reply.status, code: said }).toEqual({
      method,
      path,
      text,
      status,
      code,
    })
    const noun = /^\/v1\/([a-z-]+)s$/.exec(path)?.[1]?.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
    if (noun !== undefined && ids[`${noun}Id`] === undefined) ids[`${noun}Id`] = String(reply.body.id)
    // What is made under another noun's path says where it is.
    const [, madeNoun, madeId] = /^\/v1\/([a-z]+)s\/(\w+)$/.exec(reply.headers.get('location') ?? '') ?? []
    if (madeNoun !== undefined && madeId !== undefined) ids[`${madeNoun}Id`] ??= madeId
  }
}

for (const [file, count] of [
  ['api.md', 21],
  ['json-interface.md', 9],
  ['address-space.md', 20],
  ['ipv6.md', 15],
  ['auto-scaling.md', 9],
  ['prefetch.md', 10],
  ['load-balancing.md', 9],
] as const) {
  test(`every example in docs/${file} is answered as it says`, async () => {
    const examples = readExamples(file)
    expect(examples.length).toBeGreaterThanOrEqual(count)
    await run(await createTestWorld(), examples)
  })
}
