import { describe, expect, test } from 'bun:test'
import { bridgeName } from '../../agent/contract/bridge-name.ts'
import { macAddressOf } from '../machines/mac-address.ts'
import { applianceInstructions, makeApplianceDomain } from './appliance-domain.ts'

const secret = Buffer.from('a secret of the rack')
const image = { folder: '/var/cache/sluice/appliance/1', rootSha256: 'a'.repeat(64) }
const owner = { id: 'lbi_1', projectId: 'prj_1', networkId: 'net_1' }
const domain = makeApplianceDomain(owner, { secret, image, uplinkBridge: 'br0' })
const configuration = domain.configuration.kind === 'file' ? atob(domain.configuration.source) : ''
const told = (word: string) => new RegExp(`^${word} (.*)$`, 'm').exec(configuration)?.[1]

describe('the domain of an appliance', () => {
  test('has the uplink and its network, as the guest is told', () => {
    expect(domain.interfaces).toEqual([
      { mac: macAddressOf('lbi_1', 'uplink'), bridge: 'br0' },
      { mac: macAddressOf('lbi_1', 'network'), bridge: bridgeName('net_1') },
    ])
    expect([told('uplink'), told('network')]).toEqual(domain.interfaces.map(({ mac }) => mac))
    expect(told('id')).toBe('lbi_1')
  })

  test('has the other halves of the keys that its agent is given', () => {
    const { hostKey, privateKey } = applianceInstructions(owner, secret)
    const guestKey = atob(told('host-key') ?? '')
    const publicBlob = (key: string) => atob(key.split(' ')[1] ?? '')
    const inside = (key: string) => atob(key.split('\n').slice(1, -2).join(''))
    expect(inside(guestKey)).toContain(publicBlob(hostKey))
    expect(inside(privateKey)).toContain(publicBlob(told('authorized-key') ?? ''))
  })

  test('lets in its own project alone', () => {
    const other = applianceInstructions({ ...owner, id: 'lbi_2', projectId: 'prj_2' }, secret)
    const neighbour = applianceInstructions({ ...owner, id: 'lbi_2' }, secret)
    const own = applianceInstructions(owner, secret)
    expect(other.privateKey).not.toBe(own.privateKey)
    expect([neighbour.privateKey === own.privateKey, neighbour.hostKey === own.hostKey]).toEqual([true, false])
  })
})
