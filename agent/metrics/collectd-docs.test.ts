import { describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { dropReasons } from '../contract/collectd/admit-points.ts'
import { agentCollectdSchema, controllerCollectdSchema } from '../contract/collectd/settings.ts'
import { pointTypes } from '../contract/point-types.ts'

const page = readFileSync(new URL('../../docs/collectd.md', import.meta.url), 'utf8')
const blocks = [...page.matchAll(/```(\w*)\n(.*?)```/gs)].map(([, kind = '', text = '']) => ({ kind, text }))
const projectId = 'prj_0000000000000000000000001'

describe('what docs/collectd.md shows', () => {
  test('as settings is taken by the agent and the controller', () => {
    const [agent = '', controller = ''] = blocks.filter(({ kind }) => kind === 'json').map(({ text }) => text)
    expect(v.is(agentCollectdSchema, JSON.parse(agent))).toBe(true)
    expect(v.is(controllerCollectdSchema, JSON.parse(controller.replace('prj_…', projectId)))).toBe(true)
  })

  test('as configs is taken by collectd', () => {
    const configs = blocks.filter(({ text }) => text.includes('LoadPlugin'))
    expect(configs).toHaveLength(2)
    const folder = mkdtempSync(join(tmpdir(), 'sluice-collectd-'))
    try {
      for (const { text } of configs) {
        const file = join(folder, 'collectd.conf')
        writeFileSync(file, text.replace('/etc/collectd/sluice-types.db', '/usr/share/collectd/types.db'))
        const { exitCode, stdout, stderr } = Bun.spawnSync(['collectd', '-t', '-C', file])
        expect(`${stdout}${stderr}`.trim()).toBe('')
        expect(exitCode).toBe(0)
      }
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('names every type that a host measures, and every reason to refuse a point', () => {
    for (const type of Object.keys(pointTypes)) if (type !== 'shard_addresses') expect(page).toContain(`\`${type}`)
    for (const reason of dropReasons) expect(page).toContain(`\`${reason}\``)
  })
})
