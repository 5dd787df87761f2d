import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { UserAction } from './action.ts'
import { createNextActionModel, type ModelOptions } from './next-action-model.ts'
import { describeModel, parseModel } from './saved-model.ts'

const start = Date.parse('2030-01-01T09:00:00Z')

/** One user does these, a second apart. */
const doAll = (types: readonly string[], userAccountId = 'anna'): readonly UserAction[] =>
  types.map((actionType, i) => ({ userAccountId, actionType, at: start + 1000 * i }))

function learn(actions: readonly UserAction[], options: ModelOptions = {}) {
  const model = createNextActionModel(options)
  for (const action of actions) model.observe(action)
  return model
}

const repeat = (types: readonly string[], times: number) => Array.from({ length: times }, () => types).flat()

/** Any history: few users and actions, clocks that jump, usage that is nonsense. */
const action: fc.Arbitrary<UserAction> = fc.record({
  userAccountId: fc.constantFrom('anna', 'ben', 'cleo'),
  actionType: fc.oneof(fc.constantFrom('show', 'list', 'update', 'delete', ''), fc.string({ maxLength: 8 })),
  at: fc.oneof(fc.integer({ min: 0, max: 4e12 }), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -1)),
  resourceUsage: fc.record({
    loadShare: fc.oneof(fc.double(), fc.constantFrom(0, 0.5, 1)),
    milliseconds: fc.double(),
    bytes: fc.double(),
  }),
})
const history = fc.array(action, { maxLength: 60 })

describe('what comes next', () => {
  test('is nothing before anything was seen', () => {
    expect(learn([]).predict({ userAccountId: 'anna' })).toEqual([])
  })

  test('is what followed before', () => {
    const model = learn(doAll([...repeat(['list', 'show', 'update'], 10), 'list', 'show']))
    const [first] = model.predict({ userAccountId: 'anna' })
    expect(first?.actionType).toBe('update')
    expect(first?.probability).toBeGreaterThan(0.5)
  })

  test("is a user's own way where it differs from that of others", () => {
    const others = repeat(['show', 'update'], 30)
    const own = repeat(['show', 'delete'], 12)
    const model = learn([...doAll(others, 'ben'), ...doAll([...own, 'show'], 'anna')])
    expect(model.predict({ userAccountId: 'anna' })[0]?.actionType).toBe('delete')
  })

  test('is what others do, of a user who is new', () => {
    const model = learn(doAll(repeat(['list', 'show', 'update'], 10), 'ben'))
    const recentActions = [{ actionType: 'show', at: start }]
    expect(model.predict({ userAccountId: 'nobody', recentActions })[0]?.actionType).toBe('update')
  })

  test('follows a habit that changes', () => {
    const model = learn(doAll([...repeat(['show', 'update'], 40), ...repeat(['show', 'delete'], 12), 'show']))
    expect(model.predict({ userAccountId: 'anna' })[0]?.actionType).toBe('delete')
  })

  test('can be asked after actions that are not known, and these stay unknown', () => {
    const model = learn(doAll(repeat(['list', 'show'], 10)))
    const recentActions = [
      { actionType: 'neverSeen', at: Number.NaN },
      { actionType: 'list', at: start },
    ]
    const next = model.predict({ userAccountId: 'anna', recentActions })
    expect(next[0]?.actionType).toBe('show')
    expect(next.map(({ actionType }) => actionType)).not.toContain('neverSeen')
    expect(model.size().actionTypes).toBe(2)
  })
})

describe('of any history', () => {
  test('probabilities are such, and the likeliest comes first', () => {
    fc.assert(
      fc.property(history, action, (actions, { userAccountId }) => {
        const next = learn(actions).predict({ userAccountId, limit: 100 })
        const sum = next.reduce((total, { probability }) => total + probability, 0)
        expect(next.every(({ probability }) => probability >= 0)).toBe(true)
        expect(sum).toBeLessThanOrEqual(1 + 1e-9)
        expect(next).toEqual(next.toSorted((a, b) => b.probability - a.probability))
        expect(new Set(next.map(({ actionType }) => actionType)).size).toBe(next.length)
      }),
      { numRuns: 60 },
    )
  })

  test('what is predicted rests on nothing that comes later', () => {
    fc.assert(
      fc.property(history, history, (before, after) => {
        const all = [...before, ...after]
        const model = createNextActionModel()
        const predicted = all.map((one) => {
          const next = model.predict(one)
          model.observe(one)
          return next
        })
        for (const [i, one] of before.entries()) {
          const alone = learn(all.slice(0, i)).predict(one)
          expect(predicted[i]).toEqual([...alone])
        }
      }),
      { numRuns: 15 },
    )
  })

  test('to ask changes nothing', () => {
    fc.assert(
      fc.property(history, history, (actions, asked) => {
        const model = learn(actions)
        const before = JSON.stringify(model.save())
        for (const one of asked) {
          model.predict(one)
          model.predict({ userAccountId: one.userAccountId, recentActions: asked })
        }
        expect(JSON.stringify(model.save())).toBe(before)
      }),
      { numRuns: 30 },
    )
  })

  test('restored and gone on with is as if it had never stopped', () => {
    fc.assert(
      fc.property(history, history, (before, after) => {
        const parsed = parseModel(describeModel(learn(before).save(), 7))
        if (parsed.kind !== 'model') throw new Error(parsed.reason)
        expect(parsed.sequence).toBe(7)
        const restored = createNextActionModel({ saved: parsed.model })
        const continued = learn(before)
        for (const one of after) {
          expect(restored.predict(one)).toEqual(continued.predict(one))
          restored.observe(one)
          continued.observe(one)
        }
        expect(describeModel(restored.save(), 0)).toBe(describeModel(continued.save(), 0))
      }),
      { numRuns: 40 },
    )
  })

  test('memory stays within its bounds', () => {
    const bounds = { usersMaximum: 2, userContextsMaximum: 40, sharedContextsMaximum: 30, actionTypesMaximum: 3 }
    fc.assert(
      fc.property(history, (actions) => {
        const model = createNextActionModel(bounds)
        for (const one of actions) {
          model.observe(one)
          const { users, contexts, actionTypes } = model.size()
          expect(users).toBeLessThanOrEqual(bounds.usersMaximum)
          expect(contexts).toBeLessThanOrEqual(bounds.userContextsMaximum + bounds.sharedContextsMaximum)
          expect(actionTypes).toBeLessThanOrEqual(bounds.actionTypesMaximum)
        }
      }),
      { numRuns: 40 },
    )
  })
})

describe('a user who was not seen for longest', () => {
  test('is forgotten first, and is known by what all do from then on', () => {
    const model = learn(
      [...doAll(repeat(['show', 'delete'], 5), 'anna'), ...doAll(['list'], 'ben'), ...doAll(['list'], 'cleo')],
      { usersMaximum: 2 },
    )
    expect(model.save().users.map(({ userAccountId }) => userAccountId)).toEqual(['ben', 'cleo'])
    expect(model.predict({ userAccountId: 'anna' }).length).toBeGreaterThan(0)
  })
})

describe('a model that was kept', () => {
  const kept = () => JSON.parse(describeModel(learn(doAll(['list', 'show', 'list'])).save(), 3))

  const bad: readonly (readonly [string, (model: ReturnType<typeof kept>) => unknown])[] = [
    ['of another format', (model) => ({ ...model, format: 2 })],
    ['of other slots', (model) => ({ ...model, slots: ['other'] })],
    ['without its place in the log', ({ sequence: _, ...model }) => model],
    [
      'with weights for other slots',
      (model) => ({ ...model, model: { ...model.model, mixer: { weights: [1], squares: [1] } } }),
    ],
    ['with a weight that is no number', (model) => ({ ...model, model: { ...model.model, novelty: 'much' } })],
    ['that is a list', () => []],
    ['that is null', () => null],
  ]
  for (const [sentence, change] of bad) {
    test(`${sentence} is not used, and is told why`, () => {
      const parsed = parseModel(JSON.stringify(change(kept())))
      expect(parsed.kind).toBe('unusable')
      expect(parsed.kind === 'unusable' && parsed.reason.length).toBeGreaterThan(5)
    })
  }

  test('that is cut off is not used', () => {
    const text = JSON.stringify(kept())
    fc.assert(
      fc.property(fc.nat(text.length - 1), (length) => {
        expect(parseModel(text.slice(0, length)).kind).toBe('unusable')
      }),
    )
  })
})
