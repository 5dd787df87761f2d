/** Balancers whose traffic can't be treated as they say, with the field that each is refused by. Pure. */

export const badTraffic: readonly (readonly [what: string, changed: object, field: string])[] = [
  ['an unknown algorithm', { algorithm: 'random' }, 'algorithm'],
  [
    'a cookie of tcp',
    { trafficType: 'tcp', forwardedFor: false, stickySessions: { by: 'cookie' } },
    'stickySessions.by',
  ],
  ['sessions that stick by the moon', { stickySessions: { by: 'moon' } }, 'stickySessions.by'],
  [
    'a cookie whose name would end its line',
    { stickySessions: { by: 'cookie', cookieName: 'a\r\nX: b' } },
    'stickySessions.cookieName',
  ],
  ['eleven retries', { retries: 11 }, 'retries'],
  ['half a retry', { retries: 0.5 }, 'retries'],
  ['a slow start of an hour', { slowStartSeconds: 3600 }, 'slowStartSeconds'],
  ['a drain of a day', { timeouts: { drainSeconds: 86_400 } }, 'timeouts.drainSeconds'],
  ['a timeout of nothing', { timeouts: { connectSeconds: 0 } }, 'timeouts.connectSeconds'],
  ['a limit of no connections', { limits: { connections: 0 } }, 'limits.connections'],
  [
    'more connections to a member than to the listener',
    { limits: { connections: 10, memberConnections: 20 } },
    'limits.memberConnections',
  ],
  ['a queue where nobody waits', { limits: { memberQueue: 5 } }, 'limits.memberQueue'],
  [
    'a limit on bodies of tcp',
    { trafficType: 'tcp', forwardedFor: false, limits: { requestBodyBytes: 1 } },
    'limits.requestBodyBytes',
  ],
  ['a PROXY header of version 3', { proxyProtocol: { send: 'v3' } }, 'proxyProtocol.send'],
  ['trust in a block with host bits', { proxyProtocol: { acceptFrom: ['10.0.0.1/8'] } }, 'proxyProtocol.acceptFrom[0]'],
  ['trust in no block', { proxyProtocol: { acceptFrom: ['10.0.0.300/8'] } }, 'proxyProtocol.acceptFrom[0]'],
  ['a member by a name of one label', { members: [{ host: 'web' }] }, 'members[0].host'],
  ['a member by a name that is none', { members: [{ host: 'web_1..shop' }] }, 'members[0].host'],
  ['a member by a URL of one label', { members: [{ url: 'http://web' }] }, 'members[0].url'],
  ['the same name twice', { members: [{ host: 'web.shop.internal' }, { host: 'WEB.shop.internal' }] }, 'members[1]'],
  ['a member by name and address', { members: [{ host: 'web.shop.internal', address: '10.9.0.2' }] }, 'members[0]'],
  ['a weight of 257', { members: [{ address: '10.9.0.2', weight: 257 }] }, 'members[0].weight'],
  [
    'a body that HEAD has not',
    { healthCheck: { protocol: 'http', method: 'HEAD', expectedBody: 'ok' } },
    'healthCheck',
  ],
  [
    'an expected body with a line’s end',
    { healthCheck: { protocol: 'http', expectedBody: 'a\nb' } },
    'healthCheck.expectedBody',
  ],
  [
    'a TLS name that is an address',
    { healthCheck: { protocol: 'https', serverName: '10.9.0.2' } },
    'healthCheck.serverName',
  ],
  ['a path with a tcp check', { healthCheck: { protocol: 'tcp', path: '/' } }, 'healthCheck.path'],
]
