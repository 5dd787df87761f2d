import { describe, expect, test } from 'bun:test'
import { createTargets, type MadeRead, type Targets } from './targets.ts'

const audience = { scope: 'project', projectId: 'prj_1' } as const
const anna = { userAccountId: 'anna', audience }
const ids = { a: `net_${'a'.repeat(25)}`, b: `net_${'b'.repeat(25)}`, c: `net_${'c'.repeat(25)}` }

const look = (id: string): MadeRead => ({
  ...anna,
  isRead: false,
  name: { actionType: 'showNetwork', parameters: { id }, query: {} },
})
const readHistory = (id: string): MadeRead => ({
  ...anna,
  isRead: true,
  name: { actionType: 'showNetworkHistory', parameters: { id }, query: {} },
})
const readEvents = (query: Readonly<Record<string, string>>): MadeRead => ({
  ...anna,
  isRead: true,
  name: { actionType: 'readEvents', parameters: {}, query },
})

const list = (targets: Targets, actionType: string, user = anna) =>
  targets.list(user, actionType).map(({ way, name }) => [way, name.parameters.id ?? name.query.projectId ?? ''])

function observe(...made: readonly MadeRead[]): Targets {
  const targets = createTargets()
  for (const one of made) targets.observe(one)
  return targets
}

describe('the read that an action will be', () => {
  test('is not known of what nobody has read', () => {
    expect(list(observe(look(ids.a)), 'showNetworkHistory')).toEqual([])
  })

  test('is aimed at what was looked at last', () => {
    const targets = observe(look(ids.a), readHistory(ids.a), look(ids.b), readHistory(ids.b), look(ids.c))
    expect(list(targets, 'showNetworkHistory')[0]).toEqual(['aimed', ids.c])
  })

  test('is the last one of its kind again, where that was right before', () => {
    const turns = [ids.b, ids.c, ids.b, ids.c].flatMap((id) => [look(id), readHistory(ids.a)])
    const targets = observe(readHistory(ids.a), ...turns, look(ids.b))
    expect(list(targets, 'showNetworkHistory')[0]).toEqual(['asBefore', ids.a])
  })

  test('is what others of the same audience ask, of one who never did, and of no other audience', () => {
    const targets = observe(readEvents({ format: 'json', projectId: 'prj_1' }))
    expect(list(targets, 'readEvents', { ...anna, userAccountId: 'ben' })).toEqual([['aimed', 'prj_1']])
    const elsewhere = { userAccountId: 'eve', audience: { scope: 'project', projectId: 'prj_2' } } as const
    expect(targets.list(elsewhere, 'readEvents')).toEqual([])
  })

  test('has a probability that follows how often its way was right', () => {
    const often = observe(
      ...[ids.a, ids.b, ids.a, ids.b, ids.a, ids.b].flatMap((id) => [look(id), readHistory(id)]),
      look(ids.a),
    )
    const [first] = often.list(anna, 'showNetworkHistory')
    expect(first?.way).toBe('aimed')
    expect(first?.probability).toBeGreaterThan(0.8)
    expect(first?.probability).toBeLessThan(1)
  })

  test('keeps the port of a listener apart: the balancer is what is looked at', () => {
    const measure = (object: string): MadeRead => ({
      ...anna,
      isRead: true,
      name: { actionType: 'readMetrics', parameters: {}, query: { object } },
    })
    const balancer = `lb_${'d'.repeat(25)}`
    const targets = observe(measure(`lb_${'e'.repeat(25)}:80`), {
      ...anna,
      isRead: false,
      name: { actionType: 'showLoadBalancer', parameters: { id: balancer }, query: {} },
    })
    expect(targets.list(anna, 'readMetrics')[0]?.name.query.object).toBe(`${balancer}:80`)
  })
})
