/**
 * Histories of controllers that change the same journals at once, with every mishap that a seed can draw: each must be
 * consistent. SLUICE_CONSISTENCY_SEEDS runs more of them; a seed that fails is run alone by SLUICE_CONSISTENCY_SEED.
 */

import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { checkHistory, describeFaults } from './check-history.ts'
import { createRecorder } from './history.ts'
import { journalId, journalKind, readFinals, viewJournal } from './journal.ts'
import { createSimulatedControllers, type Mishaps } from './simulated-controllers.ts'

setDefaultTimeout(600_000)

const seedsDefault = 25
const seedCount = Number(process.env.SLUICE_CONSISTENCY_SEEDS ?? seedsDefault)
const onlySeed = process.env.SLUICE_CONSISTENCY_SEED
const seeds = onlySeed === undefined ? Array.from({ length: seedCount }, (_, i) => i + 1) : [Number(onlySeed)]
const clients = 5
const journals = 2
const ticks = 24

const weathers: readonly (readonly [string, Mishaps])[] = [
  ['each for itself', { stalls: 0.02, lostAnswers: 0, lostMessages: 0, hasOwners: false }],
  ['each for itself, answers lost', { stalls: 0.05, lostAnswers: 0.05, lostMessages: 0, hasOwners: false }],
  ['with owners', { stalls: 0.02, lostAnswers: 0, lostMessages: 0, hasOwners: true }],
  ['with owners, and everything lost', { stalls: 0.05, lostAnswers: 0.05, lostMessages: 0.15, hasOwners: true }],
]

interface Run {
  readonly faults: string
  readonly done: number
  readonly unknown: number
  readonly written: number
}

async function runHistory(seed: number, mishaps: Mishaps): Promise<Run> {
  const world = createSimulatedControllers(seed, mishaps)
  const { chance, shared } = world
  const recorder = createRecorder()
  const ids = Array.from({ length: journals }, (_, i) => journalId('system', `journal ${seed} ${i}`))
  let isOver = false
  const over = Promise.withResolvers<void>()
  let asked = 0

  /** Goes on with another controller when its own has died: as another client, since nothing is promised between them. */
  async function work(client: number): Promise<void> {
    for (let life = 0; !isOver; life++) {
      const controller = chance.pick(world.controllers())
      if (controller === undefined) return
      const name = `client ${client}.${life}`
      while (!isOver && !controller.lagging.isDead()) {
        const object = ids[chance.below(journals)] ?? ''
        const doing = chance.happens(0.3) ? read(name, object, controller) : append(name, object, controller)
        // What a dead controller was asked is never answered.
        await Promise.race([doing, controller.lagging.died, over.promise])
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
  }
  const append = (client: string, object: string, controller: Parameters<typeof world.append>[0]) => {
    const actionId = `a${++asked}`
    return recorder.act({ client, object, actionId }, () => world.append(controller, object, actionId))
  }
  const read = async (client: string, object: string, { lagging }: Parameters<typeof world.append>[0]) => {
    const promise = chance.happens(0.5) ? 'latest' : 'memory'
    await recorder.read({ client, object, promise }, async () =>
      viewJournal(await lagging.store.get(journalKind, object, { latest: promise === 'latest' })),
    )
  }

  const working = Array.from({ length: clients }, (_, client) => work(client))
  for (let tick = 0; tick < ticks; tick++) {
    await world.tick()
    if (mishaps.lostAnswers > 0 && chance.happens(0.03)) {
      const victim = chance.pick(world.controllers())
      if (victim !== undefined) world.kill(victim)
    }
    if (chance.happens(0.05)) world.moveLease()
  }
  isOver = true
  over.resolve()
  await Promise.all(working)
  await world.calm()
  for (let i = 0; i < 20; i++) await world.tick()
  const finals = await readFinals(shared, ids)
  const operations = recorder.operations()
  const answers = operations.flatMap((operation) => (operation.kind === 'action' ? [operation.answer.kind] : []))
  return {
    faults: describeFaults(checkHistory({ operations, finals })),
    done: answers.filter((kind) => kind === 'done').length,
    unknown: answers.filter((kind) => kind === 'unknown').length,
    written: [...finals.values()].reduce((sum, { version }) => sum + version, 0),
  }
}

describe('whoever dies when, nothing is lost and nothing is done twice:', () => {
  for (const [name, mishaps] of weathers) {
    test(name, async () => {
      let done = 0
      for (const seed of seeds) {
        const run = await runHistory(seed, mishaps)
        if (run.faults !== '') throw new Error(`seed ${seed}: ${run.faults}`)
        done += run.done
      }
      expect(done).toBeGreaterThan(seeds.length)
    })
  }
})
