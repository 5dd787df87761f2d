/** Operations on microshards over many histories: writers throughout, drivers who die, freeze and meet at every step. */

import { expect, test } from 'bun:test'
import { wholeWeights } from '../../controller/control-plane/key-layout.ts'
import { driveOperation } from '../../controller/control-plane/lifecycle/drive-operation.ts'
import {
  type OperationStart,
  planAbort,
  planMerge,
  planMigration,
  planSplit,
} from '../../controller/control-plane/lifecycle/plan-operation.ts'
import { planReshard, planWeights } from '../../controller/control-plane/lifecycle/plan-reshard.ts'
import type { MicroshardDirectory } from '../../controller/control-plane/microshard-directory.ts'
import { createWorld, type Party, type World } from './microshards-world.ts'
import { createChance } from './random.ts'

const seedsDefault = 100
const stepsPerHistory = 1_500
const stepsToEnd = 20_000
const writersCount = 4
const driversCount = 2

// The last ones are of one client, by whichever weights.
const keys = ['00', '2a', '55', '7f', '80', 'aa', 'd0', 'ff', 'd077777700', 'd0777777ff'].map((digits) =>
  digits.padEnd(16, '7'),
)
const weights = [16, 24, 32].map((clientBits) => ({ clientBits, dataTypeBits: 8, timeBits: 4 }))

const loads = new Map(keys.map((key) => [key, 1]))
const nothing = { kind: 'keep', because: null } as const

interface Acknowledged {
  readonly key: string
  readonly version: number
}

/** Reads, writes what follows, and looks into the directory only when he is told that his is old. */
async function write(world: World, party: Party, writer: number, acknowledged: Acknowledged[], isOver: () => boolean) {
  let view = party.directory.current()
  while (!isOver()) {
    const key = keys[world.random(keys.length)] ?? ''
    const known = await party.readVersion(view, key)
    const version = known === 'fenced' ? 0 : known + 1
    const outcome = known === 'fenced' ? 'fenced' : await party.write(view, { key, version, writer })
    if (outcome === 'stored') acknowledged.push({ key, version })
    if (outcome === 'fenced') view = await party.directory.refresh()
  }
}

/** As the loop of operations does: all of them, again and again. */
async function drive(party: Party): Promise<void> {
  const options = {
    directory: party.directory,
    streams: party.streams,
    now: () => 0,
    sleep: () => party.pause(),
    signal: new AbortController().signal,
  }
  for (;;) {
    for (const { id } of (await party.directory.refresh()).operations) {
      await driveOperation(options, id).catch(() => party.pause())
    }
    await party.pause()
  }
}

function planAnything(world: World, directory: MicroshardDirectory, start: OperationStart) {
  const { microshards, operations } = directory
  const one = microshards[world.random(microshards.length)]?.id ?? ''
  const [operation] = operations
  switch (world.random(operation === undefined ? 5 : 6)) {
    case 0:
      return planSplit(directory, start, { microshardId: one, at: keys[world.random(keys.length)] ?? '' })
    case 1: {
      const withId = microshards[world.random(microshards.length)]?.id ?? ''
      return planMerge(directory, start, { microshardId: one, withId })
    }
    case 2:
      return planMigration(directory, start, { microshardId: one, node: `node-${world.random(3)}` })
    case 3:
      return planWeights(directory, weights[world.random(weights.length)] ?? wholeWeights)
    case 4:
      return planReshard(directory, start, loads) ?? nothing
    default:
      return planAbort(directory, operation?.id ?? '')
  }
}

async function playHistory(
  seed: number,
): Promise<World & { readonly acknowledged: readonly Acknowledged[]; readonly ended: number }> {
  const world = createWorld(createChance(seed).below)
  const acknowledged: Acknowledged[] = []
  let isOver = false
  for (let writer = 0; writer < writersCount; writer++) {
    void write(world, world.party(), writer, acknowledged, () => isOver)
  }
  const drivers = Array.from({ length: driversCount }, () => world.party())
  for (const driver of drivers) void drive(driver)
  const admin = world.party()
  let operations = 0
  for (let steps = 0; steps < stepsPerHistory; steps += 10) {
    await world.run(10)
    const place = world.random(driversCount)
    switch (world.random(12)) {
      case 0:
      case 1: {
        const start = { id: `operation-${++operations}`, startedAt: '' }
        void admin.directory.change<unknown>((directory) => planAnything(world, directory, start))
        break
      }
      case 2: {
        drivers[place]?.kill()
        const next = world.party()
        drivers[place] = next
        void drive(next)
        break
      }
      case 3:
      case 4:
        drivers[place]?.freeze(true)
        break
      default:
        drivers[place]?.freeze(false)
    }
  }
  isOver = true
  for (const driver of drivers) driver.freeze(false)
  // What the admin has just asked for may be on its way still.
  for (let [steps, idle] = [0, 0]; steps < stepsToEnd && idle < 5; steps += 100) {
    await world.run(100)
    idle = world.directory().operations.length === 0 ? idle + 1 : 0
  }
  for (const driver of drivers) driver.kill()
  await world.run(stepsToEnd)
  return { ...world, acknowledged, ended: world.directory().finished.length }
}

function judge(history: Awaited<ReturnType<typeof playHistory>>): readonly string[] {
  const { acknowledged, taken } = history
  const wrongs: string[] = []
  if (history.directory().operations.length > 0) wrongs.push('an operation has not come to its end')
  for (const key of keys) {
    const versions = taken.filter((write) => write.key === key).map(({ version }) => version)
    // One owner at a time: whatever any stream took is the next version of the key.
    if (versions.some((version, i) => version !== i + 1)) wrongs.push(`${key} took ${versions}`)
    const kept = history.read(key)
    if (kept.some((version, i) => version !== i + 1)) wrongs.push(`${key} keeps ${kept}`)
    if (kept.length !== versions.length) wrongs.push(`${key} keeps ${kept.length} of ${versions.length} versions`)
    const last = Math.max(0, ...acknowledged.filter((write) => write.key === key).map(({ version }) => version))
    if ((kept.at(-1) ?? 0) < last) wrongs.push(`${key} has lost version ${last}`)
  }
  const named = history.directory().microshards.map(({ id }) => id)
  const missing = named.filter((id) => !history.streamIds().includes(id))
  if (missing.length > 0) wrongs.push(`streams ${missing} are gone`)
  return wrongs
}

test('nothing is lost or doubled, and every key has one owner, whoever dies or freezes when', async () => {
  const seeds = Number(process.env.SLUICE_SEEDS ?? seedsDefault)
  const first = Number(process.env.SLUICE_SEED ?? 1)
  let ended = 0
  const kinds = new Set<string>()
  for (let seed = first; seed < first + seeds; seed++) {
    const history = await playHistory(seed)
    ended += history.ended
    for (const { kind, outcome } of history.directory().finished) if (outcome === 'done') kinds.add(kind)
    expect({ seed, wrongs: judge(history) }).toEqual({ seed, wrongs: [] })
  }
  expect(ended).toBeGreaterThan(seeds)
  expect([...kinds].sort()).toEqual(['merge', 'migrate', 'reshard', 'split'])
}, 120_000)
