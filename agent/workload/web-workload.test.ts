import { afterAll, describe, expect, test } from 'bun:test'
import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { startEchoWorkload } from './echo-workload.ts'
import { type Misbehaviour, parseMisbehaviour, startWebWorkload } from './web-workload.ts'

const web = startWebWorkload({ port: 0, name: 'web-1', host: 'host-1', address: '127.0.0.1' })
const echo = startEchoWorkload({ port: 0, address: '127.0.0.1' })
const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port
const ask = async (path: string) => {
  const response = await fetch(`http://127.0.0.1:${portOf(web)}${path}`)
  return { status: response.status, text: await response.text(), connection: response.headers.get('connection') }
}

afterAll(() => {
  web.close()
  echo.close()
})

describe('a web workload', () => {
  test('says its name, its host and the address that it was asked by', async () => {
    expect(await ask('/')).toMatchObject({ status: 200, text: 'web-1 host-1 127.0.0.1\n' })
    expect(await ask('/healthz')).toMatchObject({ status: 200, text: 'ok\n' })
  })

  test('counts what it is asked, apart from control', async () => {
    const before = Number((await ask('/count')).text)
    await ask('/')
    await ask('/healthz')
    await ask('/control')
    expect(Number((await ask('/count')).text)).toBe(before + 2)
  })

  test('fails for as many requests as it is told to', async () => {
    await ask('/control?fail=503&requests=2')
    expect([(await ask('/')).status, (await ask('/healthz')).status, (await ask('/')).status]).toEqual([503, 503, 200])
  })

  test('fails until it is told to stop', async () => {
    await ask('/control?fail=500')
    expect([(await ask('/')).status, (await ask('/')).status]).toEqual([500, 500])
    await ask('/control?fail=none')
    expect((await ask('/')).status).toBe(200)
  })

  test('is slow and closes when told to', async () => {
    await ask('/control?delayMilliseconds=30&close=true')
    const startedAt = performance.now()
    expect((await ask('/')).connection?.toLowerCase()).toBe('close')
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(28)
    await ask('/control?delayMilliseconds=0&close=false')
  })

  const before: Misbehaviour = { delayMilliseconds: 5, close: false }
  test.each([
    ['fail=99', 'fail=99: it must be an HTTP status from 100 to 599, or none'],
    ['fail=yes', 'fail=yes: it must be an HTTP status from 100 to 599, or none'],
    ['requests=0', 'requests=0: it must be a number from 1'],
    ['delayMilliseconds=-1', 'delayMilliseconds=-1: it must be a number from 0 to 600000'],
    ['fail=500', { delayMilliseconds: 5, close: false, failStatus: 500 }],
    ['close=true', { delayMilliseconds: 5, close: true }],
  ])('told %s', (said, expected) => {
    expect(parseMisbehaviour(new URLSearchParams(said), before)).toEqual(expected)
  })
})

describe('an echo workload', () => {
  test('gives back what it gets, also after the other side has finished', async () => {
    const socket = connect({ port: portOf(echo), host: '127.0.0.1' })
    socket.end('hello')
    const [answer] = await once(socket, 'data')
    expect(String(answer)).toBe('hello')
    await once(socket, 'close')
  })
})
