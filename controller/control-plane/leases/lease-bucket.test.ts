import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { waitUntil } from '../store-contract.ts'
import { startTestNatsServer, type TestNatsServer } from '../test-nats-server.ts'
import { openLeaseBucket } from './lease-bucket.ts'
import { openLeases } from './leases.ts'
import { type LeaseTimes, leaseTimes } from './plan-leases.ts'

setDefaultTimeout(60_000)

let server: TestNatsServer
const connections: NatsConnection[] = []

beforeAll(async () => {
  server = await startTestNatsServer()
})

afterAll(async () => {
  for (const connection of connections) await connection.close()
  await server.stop()
})

async function openController(id: string, times: LeaseTimes = leaseTimes, address = `http://${id}`) {
  const connection = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 })
  connections.push(connection)
  const bucket = await openLeaseBucket({ connection, replicas: 1, onTrouble: () => {} })
  const about = { id, address, version: '1', since: new Date().toISOString() }
  const createNonce = () => crypto.randomUUID()
  return openLeases({ ...about, bucket, createNonce, now: () => performance.now(), onTrouble: () => {}, times })
}

describe('leases on JetStream', () => {
  test('are held by one controller at a time, listed with who holds them, and handed on', async () => {
    const [first, second] = [await openController('a'), await openController('b')]
    const claim = first.claim('migration')
    await waitUntil(() => claim.current() !== null, 'the first controller holds it')
    const waiting = second.claim('migration')
    await waitUntil(() => second.find('migration')?.holder === 'a', 'the second one knows')
    expect(waiting.current()).toBeNull()
    expect(second.sessions().find(({ id }) => id === 'a')).toMatchObject({ isAlive: true, leads: ['migration'] })
    const token = claim.current()?.token ?? 0
    await first.close()
    await waitUntil(() => waiting.current() !== null, 'the second one holds it')
    expect(waiting.current()?.token).toBeGreaterThan(token)
    await second.close()
  })

  test('are refused to a controller that has the name of another one', async () => {
    const first = await openController('d')
    await expect(openController('d', leaseTimes, 'http://elsewhere')).rejects.toThrow('another controller is called d')
    await first.close()
  })

  test('are lost while the server is away for long, and held again when it is back', async () => {
    const only = await openController('c', {
      ...leaseTimes,
      sessionMilliseconds: 800,
      beatMilliseconds: 200,
      marginMilliseconds: 150,
    })
    const claim = only.claim('names')
    await waitUntil(() => claim.current() !== null, 'it is held')
    const lease = claim.current()
    await server.kill()
    await waitUntil(() => lease?.signal.aborted === true, 'it is lost')
    await server.start()
    await waitUntil(() => (claim.current()?.token ?? 0) > (lease?.token ?? 0), 'it is held again')
    await only.close()
  })

  test('are written on a condition: of two that take one at once, one is told that it came too late', async () => {
    const connection = await connect({ servers: server.url })
    connections.push(connection)
    const bucket = await openLeaseBucket({ connection, replicas: 1, onTrouble: () => {} })
    const outcomes = await Promise.all(Array.from({ length: 8 }, (_, i) => bucket.write('lease.race', `${i}`, 0)))
    expect(outcomes.filter((revision) => revision !== null)).toHaveLength(1)
    expect(await bucket.read('lease.nothing')).toBeNull()
  })
})
