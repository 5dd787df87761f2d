import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { httpInstance } from './golden/instances.ts'
import { renderHaproxyConfig } from './haproxy-config.ts'
import { numberServers } from './number-servers.ts'

const source = { algorithm: 'source' } as const
const at = (address: string) => ({ id: 'mem_00000000000000000000000a1', address, port: 80, weight: 1 })
/** Found by trying addresses: the hashes of both are the same in 31 bits. */
const twins = [at('10.2.20.178'), at('10.7.42.17')] as const
const twinsNumber = 1_645_615_744
const place = { statsSocket: '/run/haproxy.sock', threads: 1 }
const describeWith = (members: readonly ReturnType<typeof at>[]) =>
  renderHaproxyConfig({ ...httpInstance, ...source, listeners: [{ port: 80, members: [...members] }] }, place)

test('a member has its number whoever else is there, in whichever order', () => {
  const [one] = twins
  const others = [at('10.1.1.1'), at('10.1.1.2')]
  for (const members of [[one], [...others, one], [one, ...others]]) {
    expect(numberServers(source, { members }).numbers.get(one)).toBe(twinsNumber)
  }
})

test('of two whose hashes are the same one takes the next number, the same one in each instance', () => {
  const [one, two] = twins
  for (const members of [
    [one, two],
    [two, one],
  ]) {
    const { numbers, displaced } = numberServers(source, { members })
    expect([numbers.get(one), numbers.get(two)]).toEqual([twinsNumber, twinsNumber + 1])
    expect(displaced).toHaveLength(1)
  }
})

test('where one is displaced only a reload helps, as its number may be in use; otherwise members are nobody’s structure', () => {
  const [one, two] = twins
  const apart = [describeWith([]), describeWith([one]), describeWith([two]), describeWith([one, at('10.1.1.1')])]
  expect(new Set(apart.map(({ description }) => description)).size).toBe(1)
  expect(describeWith([one, two]).description).not.toBe(apart[0]?.description)
  expect(describeWith([one, two]).text).toContain(`id ${twinsNumber + 1} `)
})

test('no two are alike, and haproxy counts by itself where nobody is bound by a number', () => {
  const members = fc.uniqueArray(fc.ipV4().map(at), { selector: ({ address }) => address, maxLength: 40 })
  fc.assert(
    fc.property(members, (some) => {
      const { numbers } = numberServers(source, { members: some })
      expect(new Set(numbers.values()).size).toBe(some.length)
      expect(numberServers({ algorithm: 'round-robin' }, { members: some }).numbers.size).toBe(0)
    }),
  )
})
