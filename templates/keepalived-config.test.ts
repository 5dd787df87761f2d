import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { expectGolden } from './golden/expect-golden.ts'
import { httpInstance, tcpInstance } from './golden/instances.ts'
import {
  firstPhase,
  type KeepalivedInstance,
  type KeepalivedPhase,
  renderKeepalivedConfig,
} from './keepalived-config.ts'

// keepalived's own check may be slow on a busy machine.
setDefaultTimeout(30_000)

const folder = '/run/sluice/objects/lbi_0123456789abcdefghjkmnpqr'
const place = { uplinkDevice: 'uplink', faultFile: `${folder}/haproxy.fault` }

const texts: [string, KeepalivedInstance, KeepalivedPhase][] = [
  ['keepalived-starting.conf', httpInstance, 'starting'],
  ['keepalived-steady.conf', httpInstance, 'steady'],
  ['keepalived-alone.conf', tcpInstance, 'steady'],
]

/** keepalived wants the device and the file to be there: the device is in a namespace that ends with the check. */
function checkByKeepalived(instance: KeepalivedInstance, phase: KeepalivedPhase): string {
  const temporary = mkdtempSync(`${tmpdir()}/sluice-keepalived-`)
  try {
    writeFileSync(`${temporary}/fault`, '0')
    const text = renderKeepalivedConfig(instance, phase, { ...place, faultFile: `${temporary}/fault` })
    writeFileSync(`${temporary}/keepalived.conf`, text)
    const script = 'ip link add uplink type bridge && exec keepalived --config-test --use-file "$0"'
    const result = Bun.spawnSync(['unshare', '--net', '--', 'sh', '-c', script, `${temporary}/keepalived.conf`])
    return result.exitCode === 0 ? result.stderr.toString() : `refused (${result.exitCode}): ${result.stderr}`
  } finally {
    rmSync(temporary, { recursive: true })
  }
}

describe.each(texts)('%s', (name, instance, phase) => {
  test('is as the golden file has it', () => {
    expectGolden(name, renderKeepalivedConfig(instance, phase, place))
  })

  test('is accepted by keepalived without a warning', () => {
    expect(checkByKeepalived(instance, phase)).toBe('')
  })
})

const lineOf = (instance: KeepalivedInstance, phase: KeepalivedPhase, word: string) =>
  renderKeepalivedConfig(instance, phase, place)
    .split('\n')
    .map((line) => line.trim())
    .find((line) => line.startsWith(word))

test('an instance starts with its own VIPs and backs its neighbours up afterwards', () => {
  expect(renderKeepalivedConfig(httpInstance, 'starting', place)).not.toContain('198.18.1.102')
  expect(renderKeepalivedConfig(httpInstance, 'steady', place)).toContain('198.18.1.102')
})

test('an instance that is nobody’s home has nothing to start with and is steady at once', () => {
  expect(firstPhase(httpInstance)).toBe('starting')
  expect(firstPhase({ vips: httpInstance.vips.slice(1) })).toBe('steady')
  expect(firstPhase({ ...httpInstance, takesOver: true })).toBe('steady')
})

describe('how long a start listens for a master: three of its own intervals, 1.2 of the master’s or more', () => {
  test.each([
    [0.05, '0.02'],
    [0.1, '0.04'],
    [0.2, '0.08'],
    [1, '0.40'],
    [0.001, '0.01'],
  ])('at %d s: three times %s s', (advertIntervalSeconds, expected) => {
    expect(lineOf({ ...httpInstance, advertIntervalSeconds }, 'starting', 'advert_int')).toBe(`advert_int ${expected}`)
  })
})

describe('how a VIP comes home', () => {
  test.each<[string, number, KeepalivedPhase, string]>([
    ['after the delay', 5, 'steady', 'preempt_delay 5'],
    ['at once', 0, 'steady', 'preempt_delay 0'],
    ['not while the instance still starts', 0, 'starting', 'preempt_delay 5'],
    ['never of itself', 100_000, 'steady', 'nopreempt'],
  ])('%s', (_, preemptDelaySeconds, phase, expected) => {
    const instance = { ...httpInstance, preemptDelaySeconds }
    expect(lineOf(instance, phase, 'preempt') ?? lineOf(instance, phase, 'nopreempt')).toBe(expected)
  })
})

test('an instance without peers speaks to itself, never by multicast', () => {
  const text = renderKeepalivedConfig(tcpInstance, 'steady', place)
  expect(text).toMatch(/unicast_peer \{\n {4}127\.0\.0\.1\n {2}\}/)
})
