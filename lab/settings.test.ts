import { describe, expect, test } from 'bun:test'
import { isIPv4 } from 'node:net'
import fc from 'fast-check'
import {
  clientAddress,
  clientGateway,
  controllerAddress,
  hostMac,
  hostsMaximum,
  hostUnderlayAddress,
  hostUnderlayPort,
  hostUplinkPort,
  labSettings,
  machineLink,
  uplinkGateway,
} from './settings.ts'

const hostIndex = fc.integer({ min: 1, max: hostsMaximum })
const labName = fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/)
/** IFNAMSIZ, less the zero at its end. */
const linkNameMaximum = 15

describe('settings', () => {
  test('all addresses are addresses, and no host takes the lab’s own', () => {
    const own = [clientAddress, clientGateway, controllerAddress, uplinkGateway]
    expect(own.every(isIPv4)).toBe(true)
    fc.assert(
      fc.property(hostIndex, (index) => {
        expect(isIPv4(hostUnderlayAddress(index))).toBe(true)
        expect(own).not.toContain(hostUnderlayAddress(index))
      }),
    )
  })

  test('no two hosts share a MAC address or a port, and no link name is too long', () => {
    const indexes = Array.from({ length: hostsMaximum }, (_, offset) => offset + 1)
    const macs = indexes.flatMap((index) => [hostMac('uplink0', index), hostMac('underlay0', index)])
    const ports = indexes.flatMap((index) => [hostUplinkPort(index), hostUnderlayPort(index)])
    expect(new Set(macs).size).toBe(macs.length)
    expect(macs.every((mac) => /^02(:[0-9a-f]{2}){5}$/.test(mac))).toBe(true)
    expect(new Set(ports).size).toBe(ports.length)
    expect(Math.max(...ports.map((port) => port.length))).toBeLessThanOrEqual(linkNameMaximum)
    fc.assert(fc.property(labName, (name) => expect(machineLink(name).length).toBeLessThanOrEqual(linkNameMaximum)))
  })

  test('what can not be a lab is refused with what can', () => {
    expect(() => labSettings({ name: 'My Lab' })).toThrow('use a letter, then at most ten letters')
    expect(() => labSettings({ name: '../etc' })).toThrow("can't name a lab")
    expect(() => labSettings({ hosts: 0 })).toThrow('a lab has 1 to 200 hosts; --hosts was 0')
    expect(() => labSettings({ hosts: Number.NaN })).toThrow('--hosts was NaN')
    expect(labSettings({}).hosts).toBe(3)
  })
})
