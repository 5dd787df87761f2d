import { describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CollectdPlace, renderCollectdConfig } from './collectd.ts'
import { expectGolden } from './golden/expect-golden.ts'

const plain: CollectdPlace = {
  host: 'host-a',
  intervalSeconds: 10,
  typesFiles: ['/usr/share/collectd/types.db'],
  sources: ['cpu', 'load'],
  network: { address: '127.0.0.1', port: 25_826, protection: 'none' },
}
const rows: readonly (readonly [string, CollectdPlace])[] = [
  ['collectd-plain.conf', plain],
  [
    'collectd-signed.conf',
    {
      ...plain,
      network: {
        address: '198.18.0.11',
        port: 25_826,
        protection: 'signed',
        user: 'host-a',
        password: 'it is "quoted" \\',
      },
    },
  ],
  [
    'collectd-whole.conf',
    {
      ...plain,
      network: { address: '127.0.0.1', port: 25_826, protection: 'encrypted', user: 'host-a', password: 'secret' },
      writeUrl: 'http://127.0.0.1:25827/v1/collectd',
      exec: { user: 'nobody', argv: ['/usr/local/bin/sluice-agent', 'collectd-exec'], writers: ['csv'] },
    },
  ],
]

describe('the config of a collectd', () => {
  test.each(rows)('%s', (name, place) => {
    expectGolden(name, renderCollectdConfig(place))
  })

  test.each(rows)('%s is taken by collectd itself', (_, place) => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-collectd-'))
    try {
      const file = join(folder, 'collectd.conf')
      writeFileSync(file, renderCollectdConfig(place))
      const { exitCode, stderr, stdout } = Bun.spawnSync(['collectd', '-t', '-C', file])
      // collectd says most of what it dislikes and goes on.
      expect(`${stdout}${stderr}`.trim()).toBe('')
      expect(exitCode).toBe(0)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('has no word that could end a line', () => {
    expect(() => renderCollectdConfig({ ...plain, host: 'a\nLoadPlugin exec' })).toThrow('BUG')
  })
})
