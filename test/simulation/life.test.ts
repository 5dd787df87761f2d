/**
 * Histories of instances' lives from seeds: hosts lose power, uplink or the controller, and are back; programs break and are
 * mended; reports are late; controllers die in the middle of writes; hosts are put into maintenance.
 * `SIMULATION_SEED=7 bun test test/simulation/life.test.ts` replays one, `SIMULATION_RUNS=500` tries more.
 */

import { expect, setDefaultTimeout, test } from 'bun:test'
import { runLifeHistory } from './life-history.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

const runs = Number(process.env.SIMULATION_RUNS ?? 20)
const onlySeed = process.env.SIMULATION_SEED
const seeds = onlySeed === undefined ? Array.from({ length: runs }, (_, i) => i + 1) : [Number(onlySeed)]
let replacements = 0
let reinstatements = 0

for (const seed of seeds) {
  test(`history ${seed} keeps every balancer served as far as can be, and leaves nobody twice`, async () => {
    const history = await runLifeHistory(seed)
    replacements += history.replacements
    reinstatements += history.reinstatements
    expect(history.wrong).toEqual([])
  })
}

test.if(onlySeed === undefined)('of all these, some were replaced and some had their slots again', () => {
  expect([replacements > 0, reinstatements > 0]).toEqual([true, true])
})
