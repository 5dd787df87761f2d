import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { agentCollectdSchema } from '../contract/collectd/settings.ts'
import { renderOwnCollectdConfig } from './collectd-config.ts'

const render = (settings: unknown) =>
  renderOwnCollectdConfig({
    host: 'host-a',
    folder: '/etc/sluice-agent',
    settings: settings === undefined ? undefined : v.parse(agentCollectdSchema, settings),
    sources: ['load'],
  })

describe("the config of a host's own collectd", () => {
  test('sends packets where the agent takes them, as protected as it asks for', () => {
    const config = render({ listen: ['127.0.0.1:25826'], protection: 'signed', users: { me: 'secret' } })
    for (const words of ['Hostname "host-a"', '"127.0.0.1" "25826"', '"Sign"', 'Username "me"', 'LoadPlugin load']) {
      expect(config).toContain(words)
    }
    expect(render({ listen: ['127.0.0.1:25826'], users: { me: 'secret' } })).not.toContain('secret')
  })

  test('posts where it takes no packets', () => {
    expect(render({ httpListen: '127.0.0.1:25827' })).toContain('URL "http://127.0.0.1:25827/v1/collectd"')
  })

  test('says what is missing', () => {
    expect(() => render(undefined)).toThrow('/etc/sluice-agent/collectd.json')
    expect(() => render({})).toThrow('/etc/sluice-agent/collectd.json')
    expect(() => render({ listen: ['127.0.0.1:25826'], protection: 'signed' })).toThrow('no users')
  })
})
