/**
 * How well the next action is told before it happens, on the API calls of a real cloud account, against popularity, a
 * Markov chain, PPM-C and CPT+; what each costs; and what each sort of context is worth, by leaving it out. Each is asked
 * before it is told: nothing looks ahead.
 */

import type { UserAction } from '../controller/prediction/next-action/action.ts'
import { createNextActionModel, type ModelOptions } from '../controller/prediction/next-action/next-action-model.ts'
import { describeModel } from '../controller/prediction/next-action/saved-model.ts'
import type { Bench } from './bench.ts'
import { samplesOf } from './bench.ts'
import { createCompactPredictionTree } from './next-action/compact-prediction-tree.ts'
import { createMarkov, createPartialMatching, createPopularity } from './next-action/peers.ts'
import type { Predictor } from './next-action/predictor.ts'
import { readActions } from './next-action/read-actions.ts'
import { plotBars } from './plot.ts'
import { median, show } from './statistics.ts'

const timesDefault = 5
const ours = 'ours'
const peers: Readonly<Record<string, () => Predictor>> = {
  popularity: createPopularity,
  'Markov, order 1': createMarkov,
  'PPM-C, order 4': () => createPartialMatching(4),
  'CPT+': createCompactPredictionTree,
}
const predictors: Readonly<Record<string, () => Predictor>> = { ...peers, [ours]: () => createOurs() }

/** What is left out together, to see what it is worth. */
const parts: Readonly<Record<string, readonly string[]>> = {
  'resource usage': ['usage'],
  'the gap': ['gap'],
  'the hour': ['hour'],
  repetition: ['repetition'],
  "the user's own": ['user 0', 'user 1', 'user 2', 'user 3', 'repetition'],
  'what was before the last': ['any order', 'second', 'second and third', 'third', 'fourth'],
}

export const nextAction: Bench = {
  summary: 'the next action told before it happens: hits, cost and memory against popularity, Markov, PPM-C and CPT+',

  async run({ options, tell }) {
    const times = options.times ?? timesDefault
    const actions = readActions()
    const hits = Object.entries(predictors).map(([name, create]) => ({ name, ...countHits(create(), actions) }))
    const costs = new Map(Object.keys(predictors).map((name) => [name, [] as number[]]))
    for (let turn = 0; turn < times; turn++) {
      for (const [name, create] of Object.entries(predictors)) costs.get(name)?.push(measureCost(create(), actions))
      tell(`${turn + 1}/${times}`)
    }
    const without = Object.entries(parts).map(([name, leftOut]) => {
      return { name, ...countHits(createOurs({ leftOut }), actions) }
    })
    const own = hits.find(({ name }) => name === ours) ?? { first: 0, firstThree: 0 }
    const best = Math.max(...hits.filter(({ name }) => name !== ours).map(({ firstThree }) => firstThree))
    const model = createNextActionModel()
    for (const action of actions) model.observe(action)
    return {
      title: 'The next action, told before it happens',
      settings: { actions: actions.length, users: model.size().users, actionTypes: model.size().actionTypes, times },
      series: [
        ...hits.flatMap(({ name, first, firstThree }) => [
          { name: `hit@1, ${name}`, unit: '%', samples: [first], isFloor: name !== ours },
          { name: `hit@3, ${name}`, unit: '%', samples: [firstThree], isFloor: name !== ours },
        ]),
        ...[...costs].map(([name, samples]) => ({
          name: `cost, ${name}`,
          unit: 'µs an action',
          samples,
          isFloor: name !== ours,
        })),
        ...without.flatMap(({ name, first, firstThree }) => [
          { name: `hit@1 without ${name}`, unit: '%', samples: [first] },
          { name: `hit@3 without ${name}`, unit: '%', samples: [firstThree] },
        ]),
        { name: 'memory, as it is saved', unit: 'KiB', samples: [describeModel(model.save(), 0).length / 1024] },
        { name: 'contexts in memory', unit: 'contexts', samples: [model.size().contexts] },
      ],
      ratios: without.map(({ name, firstThree }) => ({
        name: `worth of ${name}: points of hit@3`,
        value: own.firstThree - firstThree,
      })),
      aims: [
        {
          aim: 'hit@3 above that of every peer in the same run',
          measured: own.firstThree - best,
          unit: 'points',
          met: own.firstThree > best,
        },
      ],
      notes: [
        'Each is asked before it is told of an action, and told of it afterwards; the cost is of both. All learn from nothing.',
        'CPT+ has the best of 36 settings on these same actions (sequences of 15, 50 or 1,000 actions; 1, 2, 3 or 5 of the last; 1, 5 or 20 counts), which flatters it.',
        'The log has no resource usage but one word of it: that an action was throttled. The standard error of a hit rate here is 0.8 to 0.9 points.',
      ],
      details: { hits, without },
    }
  },

  plot: (result) =>
    plotBars({
      title: result.title,
      subtitle: `${String(result.settings.actions)} API calls of a cloud account; ${result.measuredAt.slice(0, 10)}`,
      unit: '% among the three that were named',
      rows: Object.keys(predictors).map((name) => {
        const three = median(samplesOf(result, `hit@3, ${name}`))
        const [first, cost] = [median(samplesOf(result, `hit@1, ${name}`)), median(samplesOf(result, `cost, ${name}`))]
        const words = `${show(three)} %; ${show(first)} % the first; ${show(cost)} µs`
        return { label: name, value: three, words, isBad: false }
      }),
    }),
}

function createOurs(options: ModelOptions = {}): Predictor {
  const model = createNextActionModel(options)
  return {
    guess: (userAccountId) => model.predict({ userAccountId, limit: 3 }).map(({ actionType }) => actionType),
    observe: (action) => model.observe(action),
  }
}

/** In percent of all actions, the first ones among them. */
function countHits(predictor: Predictor, actions: readonly UserAction[]): { first: number; firstThree: number } {
  let [first, firstThree] = [0, 0]
  for (const action of actions) {
    const place = predictor.guess(action.userAccountId).indexOf(action.actionType)
    if (place === 0) first++
    if (place >= 0) firstThree++
    predictor.observe(action)
  }
  return { first: (100 * first) / actions.length, firstThree: (100 * firstThree) / actions.length }
}

/** Microseconds an action, of a guess and of learning it. */
function measureCost(predictor: Predictor, actions: readonly UserAction[]): number {
  const beganAt = performance.now()
  for (const action of actions) {
    predictor.guess(action.userAccountId)
    predictor.observe(action)
  }
  return (1000 * (performance.now() - beganAt)) / actions.length
}
