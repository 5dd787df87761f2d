import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { type Project, quotaSchema } from '../contract/project.ts'
import { write } from '../control-plane/store.ts'
import { networkKind, projectKind, reservationKind, tokenKind } from '../objects.ts'
import type { Services } from '../services.ts'
import { createObjectId } from './object-id.ts'
import { createProjectsService } from './projects.ts'
import { resumeProjectRemovals } from './remove-project.ts'
import { reservationGraceMilliseconds } from './reserve.ts'
import { sweepReservations } from './sweep-reservations.ts'
import { createTestContext, type TestContext } from './test-context.ts'
import { createTokensService, type EventCredentialsIssuer, resumeTokenRemovals } from './tokens.ts'

/** A store that takes so many more transactions and then stops, as a killed process does. */
class Stopped extends Error {}
const writesMaximum = 20

interface World {
  readonly context: TestContext
  readonly tokens: Services['tokens']
  readonly projects: Services['projects']
  readonly issuer: EventCredentialsIssuer
  readonly readers: Set<string>
  stopAfter(transactions: number): void
  recover(): Promise<void>
}

function createWorld(): World {
  let left = Number.POSITIVE_INFINITY
  const context = createTestContext({
    fault: () => {
      if (left-- <= 0) throw new Stopped()
      return 'none'
    },
  })
  const readers = new Set<string>()
  let issued = 0
  const issuer: EventCredentialsIssuer = {
    async issue() {
      const publicKey = `U${++issued}`
      readers.add(publicKey)
      const names = { stream: 'EVENTS', consumer: publicKey, subject: '', inboxPrefix: '', domain: 'events' }
      return { publicKey, credentials: '', servers: [], caCertificate: '', ...names }
    },
    async revoke(publicKey) {
      readers.delete(publicKey)
    },
  }
  const tokens = createTokensService(context, issuer)
  const projects = createProjectsService(context, tokens.remove)
  return {
    context,
    tokens,
    projects,
    issuer,
    readers,
    stopAfter: (transactions) => {
      left = transactions
    },
    async recover() {
      left = Number.POSITIVE_INFINITY
      context.advance(reservationGraceMilliseconds + 1)
      await resumeTokenRemovals(context, issuer)
      await resumeProjectRemovals(context, tokens.remove)
      await sweepReservations(context)
    },
  }
}

async function createProject(world: World): Promise<Project> {
  const input = { name: 'rack', user: 'john', quota: v.parse(quotaSchema, {}) }
  const project = await world.projects.create(input, world.context.request())
  if (!project.ok) throw new Error(project.problem.detail)
  for (const [name, nats] of [
    ['plain', false],
    ['events', true],
  ] as const) {
    const token = await world.tokens.create({ name, nats, projectId: project.value.id }, world.context.request())
    if (!token.ok) throw new Error(token.problem.detail)
  }
  return project.value
}

const count = ({ context: { store } }: World) => ({
  projects: store.snapshot(projectKind).length,
  tokens: store.snapshot(tokenKind).length,
  reservations: store.snapshot(reservationKind).length,
})
const nothing = { projects: 0, tokens: 0, reservations: 0 }

/** Whether it died before the end. */
const dies = (work: Promise<unknown>): Promise<boolean> =>
  work.then(
    () => false,
    (cause) => {
      if (cause instanceof Stopped) return true
      throw cause
    },
  )

describe('a controller that dies after any write', () => {
  test('of the removal of a project leaves it whole, or nothing of it', async () => {
    const seen = new Set<string>()
    for (let writes = 0; writes < writesMaximum; writes++) {
      const world = createWorld()
      const { id } = await createProject(world)
      const before = count(world)
      world.stopAfter(writes)
      const isDead = await dies(world.projects.remove(id, world.context.request()))
      await world.recover()
      const after = count(world)
      expect([before, nothing]).toContainEqual(after)
      expect(world.readers.size).toBe(after.projects)
      seen.add(after.projects === 0 ? 'gone' : 'whole')
      if (!isDead) return expect(seen.size).toBe(2)
    }
    throw new Error(`still dying after ${writesMaximum} writes`)
  })

  test('of the creation of a project leaves it whole, or nothing of it', async () => {
    for (let writes = 0; writes < writesMaximum; writes++) {
      const world = createWorld()
      world.stopAfter(writes)
      const input = { name: 'rack', user: 'john', quota: v.parse(quotaSchema, {}) }
      const isDead = await dies(world.projects.create(input, world.context.request()))
      await world.recover()
      // Its name and its slug.
      expect([{ projects: 1, tokens: 0, reservations: 2 }, nothing]).toContainEqual(count(world))
      if (!isDead) return
    }
    throw new Error(`still dying after ${writesMaximum} writes`)
  })

  test('of the removal of a token leaves nobody who reads events without one', async () => {
    for (let writes = 0; writes < writesMaximum; writes++) {
      const world = createWorld()
      await createProject(world)
      const [token] = world.context.store.snapshot(tokenKind).filter(({ value }) => value.natsPublicKey !== null)
      world.stopAfter(writes)
      const isDead = await dies(world.tokens.remove(token?.id ?? '', world.context.request()))
      await world.recover()
      const left = world.context.store.snapshot(tokenKind).filter(({ value }) => value.natsPublicKey !== null)
      expect(left.map(({ value }) => value.natsPublicKey ?? '')).toEqual([...world.readers])
      if (!isDead) return
    }
    throw new Error(`still dying after ${writesMaximum} writes`)
  })
})

test('a project with something in it after all loses its mark', async () => {
  const world = createWorld()
  const { context, projects } = world
  const { id } = await createProject(world)
  world.stopAfter(1)
  expect(await dies(projects.remove(id, context.request()))).toBe(true)
  const read = async () => {
    const shown = await projects.show(id, context.request())
    return shown.ok ? shown.value.status : shown.problem.code
  }
  expect(await read()).toBe('deleting')
  world.stopAfter(Number.POSITIVE_INFINITY)
  const value = { name: 'web', projectId: id, vni: 1, mtu: 1400 }
  const networkId = createObjectId(networkKind, id, context.request().seed)
  await context.store.transact({ writes: [write({ kind: networkKind, id: networkId, expect: 'absent', value })] })
  await world.recover()
  expect(await read()).toBe('active')
  expect(count(world).tokens).toBe(2)
})
