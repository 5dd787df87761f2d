/**
 * Every malformed or impossible request, once, to a real controller: it is refused by a problem that names the field and
 * the remedy, and nothing is changed. Runs in a sandbox; BAD_INPUT_TABLE=yes prints the table that docs/bad-input.md keeps:
 *   BAD_INPUT_TABLE=yes scripts/sandbox bun test ./test/lab/bad-input.lab.ts
 */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import * as v from 'valibot'
import { problemSchema } from '../../controller/contract/problem.ts'
import * as objects from '../../controller/objects.ts'
import { bringLabUp, labSettings, silentProgress, takeLabDown } from '../../lab/lab.ts'
import { badRequests, declareGround, fillRoles, type GroundIds } from './bad-requests.ts'
import { createOutside, type Outside } from './lab-client.ts'
import { readStore } from './lab-world.ts'
import { requireSandbox } from './machine-snapshot.ts'

setDefaultTimeout(120_000)
const settings = labSettings({ name: 'badinput', hosts: 1 })
const rows: string[][] = []

let outside: Outside
let ids: GroundIds
let before: string

beforeAll(async () => {
  requireSandbox()
  await bringLabUp(settings, silentProgress)
  outside = createOutside(settings)
  ids = await declareGround(create)
  before = await describeStore()
})

afterAll(async () => {
  await takeLabDown(settings)
  if (process.env.BAD_INPUT_TABLE !== 'yes') return
  const heading = ['request', 'answered', 'field', 'what is said', 'remedy']
  const lines = [heading, heading.map(() => '---'), ...rows].map((row) => `| ${row.map(shorten).join(' | ')} |`)
  process.stdout.write(`${lines.join('\n')}\n`)
})

/** Ids are others each time: what they are of is enough. */
const shorten = (text: string) =>
  text.replaceAll(/\b([a-z]{2,4}_)[0-9a-hjkmnp-tv-z]{25}\b/g, '$1…').replaceAll('|', '\\|')

async function create(noun: string, body: unknown): Promise<string> {
  const answer = await outside.ask('POST', `/v1/${noun}?wait=true`, { body })
  const made = v.safeParse(v.object({ id: v.string() }), answer.body)
  if (answer.status !== 201 || !made.success) throw new Error(`${noun}: ${JSON.stringify(answer.body)}`)
  return made.output.id
}

const fill = (text: string) => fillRoles(ids, text)

/** Every object and its version, but for what hosts report of themselves. */
async function describeStore(): Promise<string> {
  const store = await readStore(settings)
  const kinds = Object.values(objects).filter((one) => typeof one === 'object' && !one.name.endsWith('-status'))
  return kinds
    .flatMap((kind) => store.of(kind as typeof objects.projectKind))
    .map(({ kind, id, version }) => `${kind} ${id} ${version}`)
    .toSorted()
    .join('\n')
}

describe('refused, with the field and the remedy, and nothing is changed:', () => {
  for (const row of badRequests) {
    test(row.what, async () => {
      const { status, body } = await outside.ask(row.method, fill(row.path), {
        ...(row.body === undefined
          ? {}
          : { body: typeof row.body === 'string' ? row.body : fill(JSON.stringify(row.body)) }),
        ...(row.headers === undefined ? {} : { headers: row.headers }),
        ...(row.token === undefined ? {} : { token: row.token }),
      })
      const problem = v.parse(problemSchema, body)
      const fields = (problem.errors ?? []).map(({ field }) => field)
      rows.push([row.what, `${status} ${problem.code}`, fields.join(', '), problem.detail, problem.remedy ?? ''])
      expect([status, problem.code]).toEqual([row.status, row.code])
      if (row.field !== null) expect(fields).toContain(row.field)
      expect(problem.remedy ?? '').not.toBe('')
    })
  }

  test('all of them together have left the store as it was', async () => {
    expect(await describeStore()).toBe(before)
  })
})

describe('the JSON interface says why in info.error, and nothing is changed:', () => {
  const info = (changed: object = {}, backend: object = {}) => ({
    name: 'bad',
    project: 'ground',
    traffic_type: 'http',
    subnet: '10.9.0.0/28',
    backend: { entities: ['10.9.0.2'], 'health-check': {}, 'auto-scaling': false, ...backend },
    ...changed,
  })
  const check = (criteria: object) => ({ 'health-check': { protocol: 'HTTP', port: 80, criteria } })
  const actions: readonly (readonly [string, object, string])[] = [
    ['an unknown action', { action: 'explode', type: 'project', info: {} }, 'action'],
    ['an unknown type', { action: 'create', type: 'cat', info: {} }, 'type'],
    ['an unknown project', { action: 'create', type: 'instance', info: info({ project: 'none' }) }, 'project'],
    [
      'an unknown traffic type',
      { action: 'create', type: 'instance', info: info({ traffic_type: 'udp' }) },
      'traffic_type',
    ],
    [
      'a subnet outside /28 to /20',
      { action: 'create', type: 'instance', info: info({ subnet: '10.12.0.0/30' }) },
      'subnet',
    ],
    ['no entities', { action: 'create', type: 'instance', info: info({}, { entities: [] }) }, 'entities'],
    [
      'an entity with port 0',
      { action: 'create', type: 'instance', info: info({}, { entities: ['10.9.0.2:0'] }) },
      'entities',
    ],
    [
      'a timeout longer than its interval',
      { action: 'create', type: 'instance', info: info({}, check({ interval: 2, timeout: 3 })) },
      'timeout',
    ],
    [
      'a name that is taken',
      { action: 'create', type: 'project', info: { user: 'john', name: 'ground', instances: [] } },
      'name',
    ],
  ]
  for (const [what, action, word] of actions) {
    test(what, async () => {
      const { body } = await outside.ask('POST', '/v1/actions', { body: action })
      const failed = v.parse(v.object({ status: v.literal('fail'), info: v.object({ error: v.string() }) }), body)
      rows.push([`JSON interface: ${what}`, 'fail', word, failed.info.error, ''])
      expect(failed.info.error).toContain(word)
    })
  }

  test('all of them together have left the store as it was', async () => {
    expect(await describeStore()).toBe(before)
  })
})
