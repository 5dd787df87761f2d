import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { withLease } from './lease.ts'
import { leaseTimes } from './plan-leases.ts'
import { createTestLeaseWorld, type TestController } from './test-lease-bucket.ts'

const { sessionMilliseconds, settledMilliseconds, patienceMilliseconds } = leaseTimes
const whileAll = sessionMilliseconds + settledMilliseconds + 2 * patienceMilliseconds + 1_000
const names = ['reconcile', 'names', 'sweep', 'events', 'health', 'policies', 'scaling', 'moves']

describe('a lease', () => {
  test('is held by one controller, and taken over within seconds when that one is silent', async () => {
    const world = createTestLeaseWorld()
    const [first, second] = [await world.open('a'), await world.open('b')]
    const claims = [first, second].map(({ leases }) => leases.claim('reconcile', { isSpread: true }))
    await world.advance(2_000)
    const before = claims.map((claim) => claim.current())
    expect(before.filter((lease) => lease !== null)).toHaveLength(1)
    const holderIndex = before.findIndex((lease) => lease !== null)
    const [holder, other] = holderIndex === 0 ? [first, second] : [second, first]
    holder.cut()
    await world.advance(sessionMilliseconds + patienceMilliseconds + 1_000)
    expect(before[holderIndex]?.signal.aborted).toBe(true)
    expect(claims[holderIndex]?.current()).toBeNull()
    const after = claims[1 - holderIndex]?.current()
    expect(after?.isHeld()).toBe(true)
    expect(after?.token).toBeGreaterThan(before[holderIndex]?.token ?? 0)
    expect(other.leases.find('reconcile')).toMatchObject({ holder: other.leases.holder, token: after?.token })
  })

  test('of a controller that ends in good order is free at once', async () => {
    const world = createTestLeaseWorld()
    const [first, second] = [await world.open('a'), await world.open('b')]
    first.leases.claim('migration')
    await world.advance(400)
    const claim = second.leases.claim('migration')
    await world.advance(400)
    expect(claim.current()).toBeNull()
    await first.leases.close()
    await world.advance(200)
    expect(claim.current()).not.toBeNull()
  })

  test('of a controller that starts again is its own at once, with a new token', async () => {
    const world = createTestLeaseWorld()
    const first = await world.open('a')
    const old = first.leases.claim('names')
    await world.advance(200)
    const token = old.current()?.token ?? 0
    first.cut()
    const again = await world.open('a')
    const claim = again.leases.claim('names')
    await world.advance(200)
    expect(claim.current()?.token).toBeGreaterThan(token)
  })

  test('is not held in the first moment after the process stood still, whatever its signal says', async () => {
    const world = createTestLeaseWorld()
    const only = await world.open('a')
    const claim = only.leases.claim('names')
    await world.advance(200)
    const lease = claim.current()
    only.freeze(sessionMilliseconds)
    await world.advance(sessionMilliseconds - 200)
    expect(lease?.signal.aborted).toBe(false)
    expect(lease?.isHeld()).toBe(false)
    expect(claim.current()).toBeNull()
    await world.advance(200)
    expect(lease?.signal.aborted).toBe(true)
    expect(claim.current()?.token).toBeGreaterThan(lease?.token ?? Number.POSITIVE_INFINITY)
  })

  test('that is given up and wanted by nobody has no holder', async () => {
    const world = createTestLeaseWorld()
    const only = await world.open('a')
    const outcome = await Promise.all([
      withLease(only.leases, 'moves', { waitMilliseconds: 1_000 }, async (lease) => lease.name),
      world.advance(400),
    ])
    expect(outcome[0]).toEqual({ kind: 'done', result: 'moves' })
    await world.advance(200)
    expect(only.leases.find('moves')).toBeNull()
  })

  test('held by another is answered with who that is', async () => {
    const world = createTestLeaseWorld()
    const [first, second] = [await world.open('a'), await world.open('b')]
    first.leases.claim('moves')
    await world.advance(200)
    const outcome = await withLease(second.leases, 'moves', { waitMilliseconds: 5 }, async () => 'done')
    expect(outcome).toEqual({ kind: 'notHeld', holder: 'a' })
  })
})

describe('kinds of work', () => {
  test('are divided among the controllers, and again when one comes or goes', async () => {
    const world = createTestLeaseWorld()
    const controllers = [await world.open('a'), await world.open('b')]
    const claim = (controller: TestController) => names.map((name) => controller.leases.claim(name, { isSpread: true }))
    controllers.forEach(claim)
    await world.advance(whileAll)
    controllers.push(await world.open('c'))
    controllers.slice(2).forEach(claim)
    await world.advance(whileAll)
    const shares = (controllers[0]?.leases.sessions() ?? []).map(({ leads }) => leads)
    expect(shares.flat().sort()).toEqual([...names].sort())
    for (const share of shares) expect(share.length).toBeGreaterThan(0)
    controllers[1]?.cut()
    await world.advance(whileAll)
    const rest = controllers[0]?.leases.sessions().filter(({ isAlive }) => isAlive) ?? []
    expect(rest.map(({ id }) => id).sort()).toEqual(['a', 'c'])
    expect(rest.flatMap(({ leads }) => leads).sort()).toEqual([...names].sort())
  })

  test('have at most one holder by anybody’s own clock, and tokens that grow, whoever is cut off or stands still', async () => {
    const step = fc.record({
      who: fc.nat(2),
      what: fc.constantFrom('cut', 'join', 'freeze', 'nothing'),
      milliseconds: fc.integer({ min: 200, max: 6_000 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const world = createTestLeaseWorld()
        const controllers = await Promise.all(['a', 'b', 'c'].map((id) => world.open(id)))
        const claims = controllers.map(({ leases }) => leases.claim('reconcile', { isSpread: true }))
        const tokens = new Map<number, string>()
        let highest = 0
        for (const { who, what, milliseconds } of steps) {
          const controller = controllers[who]
          if (what === 'cut') controller?.cut()
          else if (what === 'join') controller?.join()
          else if (what === 'freeze') controller?.freeze(milliseconds)
          for (let passed = 0; passed < milliseconds; passed += 200) {
            await world.advance(200)
            const held = claims.flatMap((claim, i) => {
              const lease = claim.current()
              return lease === null ? [] : [{ holder: controllers[i]?.leases.holder ?? '', token: lease.token }]
            })
            expect(held.length).toBeLessThanOrEqual(1)
            for (const { holder, token } of held) {
              expect(tokens.get(token) ?? holder).toBe(holder)
              tokens.set(token, holder)
              expect(token).toBeGreaterThanOrEqual(highest)
              highest = token
            }
          }
        }
        for (const controller of controllers) controller.join()
        await world.advance(whileAll)
        expect(claims.filter((claim) => claim.current() !== null)).toHaveLength(1)
      }),
      { numRuns: 30 },
    )
  })
})
