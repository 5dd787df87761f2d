import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { quotaSchema } from '../contract/project.ts'
import type { Store } from '../control-plane/store.ts'
import { type NetworkValue, networkKind, projectKind, reservationKind } from '../objects.ts'
import type { RequestInfo } from '../services.ts'
import { removeObject, updateObject } from './change-object.ts'
import { type Declaration, declareObject } from './declare-object.ts'
import { createObjectId } from './object-id.ts'
import { createProjectsService } from './projects.ts'
import { reservationGraceMilliseconds } from './reserve.ts'
import { sweepReservations } from './sweep-reservations.ts'
import { createTestContext, type TestContext, withStore } from './test-context.ts'

/** A store that takes so many more transactions and then stops, as a killed process does. */
class Stopped extends Error {}

interface World {
  readonly context: TestContext
  readonly projectId: string
  /** From now on: so many transactions, then none. */
  stopAfter(transactions: number): void
  restart(): void
}

async function createWorld(quota = {}): Promise<World> {
  let left = Number.POSITIVE_INFINITY
  const context = createTestContext({
    fault: () => {
      if (left-- <= 0) throw new Stopped()
      return 'none'
    },
  })
  const projects = createProjectsService(context, async () => ({ ok: true, value: true }))
  const input = { name: 'rack', user: 'john', quota: { ...v.parse(quotaSchema, {}), ...quota } }
  const created = await projects.create(input, context.request())
  if (!created.ok) throw new Error(created.problem.detail)
  return {
    context,
    projectId: created.value.id,
    stopAfter: (transactions) => {
      left = transactions
    },
    restart: () => {
      left = Number.POSITIVE_INFINITY
    },
  }
}

function describeNetwork(world: World, name: string, request: RequestInfo): Declaration<NetworkValue> {
  const { projectId } = world
  const id = createObjectId(networkKind, projectId, request.seed)
  return {
    kind: networkKind,
    id,
    scope: projectId,
    name,
    quota: { noun: 'networks', projectId },
    value: { name, projectId, vni: 1, mtu: 1400 },
    events: [{ type: 'network.created', projectId, subject: id, data: { name, vni: 1 } }],
  }
}

const declareNetwork = (world: World, name: string, request = world.context.request()) =>
  declareObject(world.context, describeNetwork(world, name, request), request)

const renameNetwork = (world: World, id: string, name: string, request = world.context.request()) =>
  updateObject(
    world.context,
    {
      kind: networkKind,
      id,
      scope: world.projectId,
      apply: ({ value }) => ({ kind: 'write', value: { ...value, name } }),
    },
    request,
  )

const removeNetwork = (world: World, id: string, request = world.context.request()) =>
  removeObject(world.context, { kind: networkKind, id, scopes: [world.projectId], events: () => [] }, request)

/** What networks and their reservations there are, in words. */
function describeNetworks(store: Store, projectId: string): { networks: string[]; reservations: string[] } {
  const networks = store.snapshot(networkKind).map(({ value }) => value.name)
  const reservations = store.snapshot(reservationKind, projectId).map(({ value }) => value.words.slice(0, 2).join(' '))
  return { networks: networks.sort(), reservations: reservations.sort() }
}

/** One name and one unit for each network, and nothing else. */
function expectConsistent(world: World): void {
  const { networks, reservations } = describeNetworks(world.context.store, world.projectId)
  const wanted = networks.flatMap(() => ['name network', 'quota networks'])
  expect(reservations).toEqual(wanted.sort())
  const names = world.context.store
    .snapshot(reservationKind, world.projectId)
    .filter(({ value }) => value.words[0] === 'name')
    .map(({ value }) => value.words[2] ?? '')
  expect(names.sort()).toEqual(networks)
}

async function recover(world: World): Promise<void> {
  world.restart()
  world.context.advance(reservationGraceMilliseconds + 1)
  await sweepReservations(world.context)
}

const code = (outcome: { ok: boolean; problem?: { code: string } }) => (outcome.ok ? 'ok' : outcome.problem?.code)

describe('declaring an object', () => {
  test('takes its name and a unit of quota, and writes it once however often the request is repeated', async () => {
    const world = await createWorld()
    const first = await declareNetwork(world, 'web', world.context.request('r'))
    const again = await declareNetwork(world, 'web', world.context.request('r'))
    expect(again).toEqual(first)
    expectConsistent(world)
  })

  test('refuses a name that is taken, in this project only', async () => {
    const world = await createWorld()
    await declareNetwork(world, 'web')
    const second = await declareNetwork(world, 'web')
    expect(second).toMatchObject({ ok: false, problem: { code: 'name-taken', errors: [{ field: 'name' }] } })
    expectConsistent(world)
  })

  test('refuses what is beyond the quota, and gives the name back', async () => {
    const world = await createWorld({ networks: 2 })
    const outcomes = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => declareNetwork(world, name)))
    expect(outcomes.map(code).filter((word) => word === 'ok')).toHaveLength(2)
    expect(outcomes.map(code).filter((word) => word === 'quota-exceeded')).toHaveLength(3)
    expectConsistent(world)
  })

  test('a unit that was given back can be taken again', async () => {
    const world = await createWorld({ networks: 1 })
    const first = await declareNetwork(world, 'a')
    if (!first.ok) throw new Error('not declared')
    expect(code(await declareNetwork(world, 'b'))).toBe('quota-exceeded')
    await removeNetwork(world, first.value.id)
    expect(code(await declareNetwork(world, 'b'))).toBe('ok')
  })

  test('refuses a project that is not there, naming the field', async () => {
    const world = await createWorld()
    const projectId = createObjectId(projectKind, 'elsewhere', world.context.request().seed)
    const outcome = await declareNetwork({ ...world, projectId }, 'web')
    expect(outcome).toMatchObject({ ok: false, problem: { code: 'invalid', errors: [{ field: 'projectId' }] } })
    expect(world.context.store.snapshot(reservationKind, projectId)).toEqual([])
  })

  test('of fifty at once with one name one wins', async () => {
    const world = await createWorld()
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => declareNetwork(world, 'web')))
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1)
    expectConsistent(world)
  })

  test('does not come back when its request is repeated after it was deleted', async () => {
    const world = await createWorld()
    const first = await declareNetwork(world, 'web', world.context.request('r'))
    if (!first.ok) throw new Error('not declared')
    await removeNetwork(world, first.value.id)
    expect(code(await declareNetwork(world, 'web', world.context.request('r')))).toBe('conflict')
    expectConsistent(world)
  })

  test('a pause longer than the grace does not leave two objects with one name', async () => {
    const world = await createWorld()
    const { context } = world
    let paused = false
    const slow = withStore(context, {
      ...context.store,
      transact: async (transaction) => {
        if (transaction.writes[0]?.kind.name !== networkKind.name || paused) return context.store.transact(transaction)
        paused = true
        context.advance(reservationGraceMilliseconds + 1)
        await sweepReservations(context)
        expect(code(await declareNetwork(world, 'web'))).toBe('ok')
        return context.store.transact(transaction)
      },
    })
    const late = await declareNetwork({ ...world, context: slow }, 'web')
    expect(late.ok ? late.value.value.name : '').toMatch(/^web [0-9a-z]{8}$/)
    await recover(world)
    expectConsistent(world)
    expect(describeNetworks(context.store, world.projectId).networks).toHaveLength(2)
  })
})

describe('changing an object', () => {
  test('with If-Match writes on that version only, and says both', async () => {
    const world = await createWorld()
    const network = await declareNetwork(world, 'web')
    if (!network.ok) throw new Error('not declared')
    const stale = world.context.request('stale', { expectedVersion: 7 })
    const outcome = await renameNetwork(world, network.value.id, 'api', stale)
    expect(outcome).toMatchObject({ ok: false, problem: { code: 'precondition-failed' } })
    expect(outcome.ok ? '' : outcome.problem.detail).toMatch(/version 7 .* version is 1/)
    const fresh = world.context.request('fresh', { expectedVersion: 1 })
    expect(await renameNetwork(world, network.value.id, 'api', fresh)).toMatchObject({
      ok: true,
      value: { version: 2 },
    })
    // The answer was lost and the request comes again: it is done already, though its version is stale now.
    expect(await renameNetwork(world, network.value.id, 'api', fresh)).toMatchObject({
      ok: true,
      value: { version: 2 },
    })
    expectConsistent(world)
  })

  test('without If-Match all of many writers come through', async () => {
    const world = await createWorld()
    const network = await declareNetwork(world, 'web')
    if (!network.ok) throw new Error('not declared')
    const { id } = network.value
    const raise = () =>
      updateObject(
        world.context,
        { kind: networkKind, id, apply: ({ value }) => ({ kind: 'write', value: { ...value, mtu: value.mtu + 1 } }) },
        world.context.request(),
      )
    await Promise.all(Array.from({ length: 20 }, raise))
    expect((await world.context.store.get(networkKind, id))?.value.mtu).toBe(1420)
  })

  test('renaming takes the new name, releases the old one, and refuses a taken one', async () => {
    const world = await createWorld()
    const [web, api] = [await declareNetwork(world, 'web'), await declareNetwork(world, 'api')]
    if (!web.ok || !api.ok) throw new Error('not declared')
    expect(code(await renameNetwork(world, web.value.id, 'api'))).toBe('name-taken')
    expect(code(await renameNetwork(world, web.value.id, 'www'))).toBe('ok')
    expect(code(await renameNetwork(world, api.value.id, 'web'))).toBe('ok')
    expectConsistent(world)
  })
})

describe('a controller that dies after any write leaves it whole or absent, and nothing orphaned', () => {
  const countedMaximum = 12

  async function dieIn(step: (world: World) => Promise<unknown>, prepare: (world: World) => Promise<unknown>) {
    let died = 0
    for (let writes = 0; writes < countedMaximum; writes++) {
      const world = await createWorld()
      await prepare(world)
      world.stopAfter(writes)
      const isDead = await step(world).then(
        () => false,
        (cause) => {
          if (cause instanceof Stopped) return true
          throw cause
        },
      )
      await recover(world)
      expectConsistent(world)
      if (!isDead) return died
      died++
    }
    throw new Error(`still dying after ${countedMaximum} writes`)
  }

  test('in a creation', async () => {
    expect(
      await dieIn(
        (world) => declareNetwork(world, 'web'),
        async () => undefined,
      ),
    ).toBe(3)
  })

  test('in a creation that is repeated with its key, which carries on', async () => {
    for (let writes = 0; writes < 3; writes++) {
      const world = await createWorld()
      world.stopAfter(writes)
      expect(declareNetwork(world, 'web', world.context.request('r'))).rejects.toThrow(Stopped)
      world.restart()
      expect(code(await declareNetwork(world, 'web', world.context.request('r')))).toBe('ok')
      expectConsistent(world)
    }
  })

  test('in a rename', async () => {
    const rename = async (world: World) => {
      const [network] = world.context.store.snapshot(networkKind)
      return renameNetwork(world, network?.id ?? '', 'api')
    }
    expect(await dieIn(rename, (world) => declareNetwork(world, 'web'))).toBe(3)
  })

  test('in a removal', async () => {
    const remove = async (world: World) => {
      const [network] = world.context.store.snapshot(networkKind)
      return removeNetwork(world, network?.id ?? '')
    }
    expect(await dieIn(remove, (world) => declareNetwork(world, 'web'))).toBe(3)
  })

  test('an acknowledgement that is lost makes nothing twice and loses nothing', async () => {
    for (const fault of ['lostAckStored', 'lostAckDropped', 'unavailable'] as const) {
      for (let at = 0; at < 5; at++) {
        let transactions = Number.NEGATIVE_INFINITY
        const context = createTestContext({ fault: () => (transactions++ === at ? fault : 'none') })
        const projects = createProjectsService(context, async () => ({ ok: true, value: true }))
        const project = await projects.create(
          { name: 'rack', user: 'john', quota: v.parse(quotaSchema, {}) },
          context.request(),
        )
        if (!project.ok) throw new Error('no project')
        const world = { context, projectId: project.value.id, stopAfter: () => undefined, restart: () => undefined }
        transactions = 0
        const outcome = await declareNetwork(world, 'web')
        expect(code(outcome)).toBe(fault === 'unavailable' && at < 3 ? 'unavailable' : 'ok')
        expectConsistent(world)
      }
    }
  })
})
