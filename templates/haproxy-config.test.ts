import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import fc from 'fast-check'
import { expectGolden } from './golden/expect-golden.ts'
import { cookieInstance, httpInstance, loggingInstance, sourceInstance, tcpInstance } from './golden/instances.ts'
import { type HaproxyInstance, memberIdOfServer, renderHaproxyConfig, serverName } from './haproxy-config.ts'

// haproxy's own check takes a tenth of a second, and much more on a busy machine.
setDefaultTimeout(30_000)

const place = { statsSocket: '/run/sluice/objects/lbi_0123456789abcdefghjkmnpqr/haproxy.sock', threads: 2 }
const texts: Record<string, HaproxyInstance> = {
  'haproxy-http.cfg': httpInstance,
  'haproxy-tcp.cfg': tcpInstance,
  'haproxy-cookie.cfg': cookieInstance,
  'haproxy-source.cfg': sourceInstance,
  'haproxy-logging.cfg': loggingInstance,
  'haproxy-tcp-logging.cfg': { ...tcpInstance, accessLog: { oneOf: 1, clientAddress: 'none' } },
  'haproxy-no-vip.cfg': { ...httpInstance, vips: [] },
  'haproxy-no-listener.cfg': { ...httpInstance, listeners: [] },
}

function checkByHaproxy(text: string): string {
  const folder = mkdtempSync(`${tmpdir()}/sluice-haproxy-`)
  try {
    writeFileSync(`${folder}/haproxy.cfg`, text)
    const result = Bun.spawnSync(['haproxy', '-c', '-q', '-f', `${folder}/haproxy.cfg`])
    return result.exitCode === 0 ? result.stderr.toString() : `refused: ${result.stderr}`
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe.each(Object.entries(texts))('%s', (name, instance) => {
  const { text } = renderHaproxyConfig(instance, place)

  test('is as the golden file has it', () => {
    expectGolden(name, text)
  })

  test('is accepted by haproxy without a warning', () => {
    expect(checkByHaproxy(text)).toBe('')
  })
})

describe('the description', () => {
  const { description } = renderHaproxyConfig(httpInstance, place)
  const changed = (change: Partial<HaproxyInstance>) =>
    renderHaproxyConfig({ ...httpInstance, ...change }, place).description

  test('stays when only members change', () => {
    expect(changed({ listeners: httpInstance.listeners.map(({ port }) => ({ port, members: [] })) })).toBe(description)
  })

  test.each<[string, Partial<HaproxyInstance>]>([
    ['a listener is added', { listeners: [...httpInstance.listeners, { port: 81, members: [] }] }],
    ['a VIP is given up', { vips: httpInstance.vips.slice(1) }],
    ['the algorithm changes', { algorithm: 'least-connections' }],
    ['a timeout changes', { timeouts: { ...httpInstance.timeouts, connectSeconds: 1 } }],
    ['clients are no longer named to members', { forwardedFor: false }],
    ['requests are written down', { accessLog: { oneOf: 1, clientAddress: 'shortened' } }],
    ['the health check changes', { healthCheck: { ...httpInstance.healthCheck, timeoutSeconds: 1 } }],
  ])('changes when %s', (_, change) => {
    expect(changed(change)).not.toBe(description)
  })

  test('changes when only the interval of the checks does, since a server keeps the one that it was added with', () => {
    expect(changed({ healthCheck: { ...httpInstance.healthCheck, intervalSeconds: 7 } })).not.toBe(description)
  })
})

describe('a server', () => {
  const member = { id: 'mem_00000000000000000000000a1', address: '198.18.16.11', port: 80 }

  const nameIn = (change: Partial<HaproxyInstance>, of = member) => serverName({ ...httpInstance, ...change }, of)
  const network = { ...httpInstance.network, address: '198.18.16.202' }

  test('has another name at another address or port, and none at another weight', () => {
    const names = [member, { ...member, address: '198.18.16.12' }, { ...member, port: 81 }].map((of) => nameIn({}, of))
    expect(new Set(names).size).toBe(3)
    expect(nameIn({}, { ...member })).toBe(nameIn({}))
  })

  test('has another name from another leg, where connections are kept', () => {
    expect(nameIn({ network })).not.toBe(nameIn({}))
    expect(nameIn({ network, trafficType: 'tcp' })).toBe(nameIn({ trafficType: 'tcp' }))
  })

  test('tells whose it is', () => {
    expect(memberIdOfServer(nameIn({}))).toBe(member.id)
  })
})

test('whatever a user says of a health check stays within its words', () => {
  const { healthCheck } = httpInstance
  if (healthCheck.protocol !== 'http') throw new Error('BUG: the example checks by HTTP')
  const countLines = (text: string) => text.split('\n').length
  const plainLines = countLines(renderHaproxyConfig(httpInstance, place).text)
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (path, hostHeader) => {
      const { text } = renderHaproxyConfig(
        { ...httpInstance, healthCheck: { ...healthCheck, path, hostHeader } },
        place,
      )
      return countLines(text) === plainLines && /^[\x20-\x7e\n]*$/.test(text)
    }),
    { endOnFailure: true },
  )
})

test.each(["it's", 'a b', '"', '\\', '#', '$HOME', '%[src]', 'ä\n  server evil 192.0.2.1:80', '\ud800'])(
  'haproxy reads the path %j as one word',
  (path) => {
    const { healthCheck } = httpInstance
    const instance = { ...httpInstance, healthCheck: { ...healthCheck, path } } as HaproxyInstance
    expect(checkByHaproxy(renderHaproxyConfig(instance, place).text)).toBe('')
  },
)
