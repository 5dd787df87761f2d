import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { trafficSchema } from '../../agent/contract/traffic-instructions.ts'
import type { LoadBalancerValue, MemberValue } from '../objects.ts'
import { renderMembers, renderTraffic } from './render-traffic.ts'

/** As one was stored before its traffic could be spoken of. */
const former: LoadBalancerValue = {
  name: 'web',
  projectId: 'prj',
  networkId: 'net',
  trafficType: 'http',
  algorithm: 'round-robin',
  listeners: [{ port: 80 }],
  members: [],
  healthCheck: { protocol: 'tcp', intervalSeconds: 5, timeoutSeconds: 5, healthyThreshold: 2, unhealthyThreshold: 2 },
  timeouts: { connectSeconds: 2, clientSeconds: 30, serverSeconds: 30, drainSeconds: 30 },
  forwardedFor: true,
  instanceCount: 2,
  autoScaling: false,
}
const place = {
  mates: [
    { id: 'lbi_2', address: '10.0.0.6' },
    { id: 'lbi_1', address: '10.0.0.5' },
  ],
  nameServers: ['10.0.0.1'],
}

describe('what a host is told', () => {
  test('of a balancer that says nothing is what it takes for granted', () => {
    const { traffic, timeouts } = renderTraffic(former, { ...place, nameServers: [] })
    expect(traffic).toEqual(v.parse(trafficSchema, {}))
    expect(timeouts).toEqual({ connectSeconds: 2, clientSeconds: 30, serverSeconds: 30, drainSeconds: 30 })
  })

  test('holds no limit that is not set', () => {
    const limits = {
      connections: 10,
      memberConnections: null,
      memberQueue: null,
      sourceRate: null,
      requestBodyBytes: null,
    }
    expect(renderTraffic({ ...former, limits }, place).traffic.limits).toEqual({ connections: 10 })
  })

  test('names the other instances only where these share a table, in one order', () => {
    const bySource = renderTraffic({ ...former, stickySessions: { by: 'source', idleSeconds: 60 } }, place)
    expect(bySource.traffic.stickySessions).toEqual({ by: 'source', idleSeconds: 60, mates: place.mates.toReversed() })
    const byCookie = renderTraffic({ ...former, stickySessions: { by: 'cookie', cookieName: 'SHOP' } }, place)
    expect(byCookie.traffic.stickySessions).toEqual({ by: 'cookie', cookieName: 'SHOP' })
  })

  test('of members keeps names apart from addresses', () => {
    const member = (id: string, parts: Partial<MemberValue>): MemberValue => ({
      id,
      address: null,
      port: null,
      url: null,
      machineId: null,
      weight: 1,
      ...parts,
    })
    const members = [
      member('a', { address: '10.0.0.9' }),
      member('b', { host: 'web.shop.internal', port: 81 }),
      member('c', { url: 'http://api.shop.internal:82' }),
      member('d', { machineId: 'mch_gone' }),
    ]
    const listener = { port: 80, memberPort: 8080 }
    expect(renderMembers(members, { trafficType: 'http', listener, addressOfMachine: () => undefined })).toEqual({
      members: [{ id: 'a', address: '10.0.0.9', port: 8080, weight: 1 }],
      namedMembers: [
        { id: 'b', host: 'web.shop.internal', port: 81, weight: 1 },
        { id: 'c', host: 'api.shop.internal', port: 82, weight: 1 },
      ],
    })
  })
})
