import { expect, test } from 'bun:test'
import { httpInstance } from '../../templates/golden/instances.ts'
import { renderKeepalivedConfig } from '../../templates/keepalived-config.ts'
import { readAdvertSeconds, readElectionSettings } from './keepalived-settings.ts'

const place = { uplinkDevice: 'uplink', faultFile: '/run/fault' }

test("an instance's config gives its settings back, whichever slot is its home", () => {
  const [first, second] = httpInstance.vips
  const expected = { homePriority: 200, backupPriority: 100, advertSeconds: 0.05, preemptDelaySeconds: 5 }
  expect(readElectionSettings(renderKeepalivedConfig(httpInstance, 'steady', place))).toEqual(expected)
  const turned = { ...httpInstance, vips: [second, first].filter((vip) => vip !== undefined) }
  expect(readElectionSettings(renderKeepalivedConfig(turned, 'steady', place))).toEqual(expected)
})

test('a start has an interval of its own', () => {
  expect(readAdvertSeconds(renderKeepalivedConfig(httpInstance, 'starting', place))).toBe(0.02)
})

test('an instance without a partner is nothing to compare with', () => {
  expect(() => readElectionSettings(renderKeepalivedConfig(httpInstance, 'starting', place))).toThrow('partner')
})
