import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { applyChange } from './name-change.ts'
import { describeName, type ObservedName } from './observed-zone.ts'
import { ownershipText } from './ownership.ts'
import { chooseAddresses, type DesiredName, type NameOperation, planNames, type VipVerdict } from './plan-names.ts'
import { classes, type ResourceRecord, types } from './wire/message.ts'
import { encodeAddress, encodeText } from './wire/record-data.ts'

const settings = { owner: 'rack', ttlSeconds: 10 }
const [one, two] = ['198.18.32.10', '198.18.32.11']

const wanted = (dnsName: string, vips: Readonly<Record<string, VipVerdict>>, loadBalancerId = 'lb_1'): DesiredName => ({
  loadBalancerId,
  dnsName,
  vips: Object.entries(vips).map(([address, verdict]) => ({ address, verdict })),
})

function there(addresses: readonly string[], texts: readonly string[], others: readonly number[] = []): ObservedName {
  const record = (type: number, data: Uint8Array): ResourceRecord => ({
    name: 'n',
    type,
    class: classes.in,
    ttlSeconds: 10,
    data,
  })
  return describeName([
    ...addresses.map((address) => record(types.a, encodeAddress(address))),
    ...texts.map((text) => record(types.txt, encodeText(text))),
    ...others.map((type) => record(type, new Uint8Array())),
  ])
}

const own = (addresses: readonly string[], loadBalancerId = 'lb_1', texts: readonly string[] = []) =>
  there(addresses, [ownershipText('rack', loadBalancerId), ...texts])

const plan = (desired: readonly DesiredName[], names: Readonly<Record<string, ObservedName>>) =>
  planNames(desired, { names: new Map(Object.entries(names)) }, settings)

function describeOperation(operation: NameOperation): string {
  if (operation.kind === 'yield') return `yield ${operation.dnsName}`
  const { dnsName, after } = operation.change
  return after === null ? `withdraw ${dnsName}` : `publish ${dnsName} ${after.addresses.join(' ')}`
}

describe('what is done for a zone to be right', () => {
  const rows: readonly (readonly [
    string,
    readonly DesiredName[],
    Readonly<Record<string, ObservedName>>,
    readonly string[],
  ])[] = [
    ['a new name is published', [wanted('web.z', { [one]: 'serves' })], {}, [`publish web.z ${one}`]],
    ['a name of which nothing serves yet is not', [wanted('web.z', { [one]: 'dead', [two]: 'unknown' })], {}, []],
    [
      'a name that is right is left',
      [wanted('web.z', { [two]: 'serves', [one]: 'serves' })],
      { 'web.z': own([one, two]) },
      [],
    ],
    [
      'a VIP that answers nobody goes',
      [wanted('web.z', { [one]: 'serves', [two]: 'dead' })],
      { 'web.z': own([one, two]) },
      [`publish web.z ${one}`],
    ],
    ['all that look dead stay', [wanted('web.z', { [one]: 'dead', [two]: 'dead' })], { 'web.z': own([one, two]) }, []],
    [
      'but none that the balancer has no more',
      [wanted('web.z', { [one]: 'dead' })],
      { 'web.z': own([one, two]) },
      [`publish web.z ${one}`],
    ],
    [
      'and no name is left without any',
      [wanted('web.z', { [one]: 'dead' })],
      { 'web.z': own([two]) },
      ['withdraw web.z'],
    ],
    ['a stray one of ours goes', [], { 'old.z': own([one]) }, ['withdraw old.z']],
    [
      'what is not ours stays',
      [],
      {
        'mail.z': there([one], []),
        'x.z': there([], ['v=spf1 -all']),
        'y.z': there([one], [ownershipText('other', 'lb_1')]),
      },
      [],
    ],
    [
      'a name that somebody else has is left to him',
      [wanted('web.z', { [one]: 'serves' })],
      { 'web.z': there([two], []) },
      ['yield web.z'],
    ],
    [
      'one with another kind of record, too',
      [wanted('web.z', { [one]: 'serves' })],
      { 'web.z': there([], [], [types.cname]) },
      ['yield web.z'],
    ],
    [
      'addresses that somebody else put into our name go',
      [wanted('web.z', { [one]: 'serves' })],
      { 'web.z': own([one, '192.0.2.1']) },
      [`publish web.z ${one}`],
    ],
    [
      'a name that moves is published before it goes',
      [wanted('new.z', { [one]: 'serves' })],
      { 'old.z': own([one]) },
      [`publish new.z ${one}`, 'withdraw old.z'],
    ],
    [
      "a name takes none of its former balancer's addresses over",
      [wanted('web.z', { [one]: 'dead' }, 'lb_2')],
      { 'web.z': own([one], 'lb_1') },
      ['withdraw web.z'],
    ],
  ]
  for (const [sentence, desired, names, operations] of rows) {
    test(sentence, () => expect(plan(desired, names).map(describeOperation)).toEqual([...operations]))
  }

  test('another TTL is put right', () => {
    const names = new Map([['web.z', own([one])]])
    const operations = planNames([wanted('web.z', { [one]: 'serves' })], { names }, { ...settings, ttlSeconds: 5 })
    expect(operations.map(describeOperation)).toEqual([`publish web.z ${one}`])
  })
})

describe('which VIPs are listed', () => {
  const rows: readonly (readonly [
    string,
    Readonly<Record<string, VipVerdict>>,
    readonly string[],
    readonly string[],
  ])[] = [
    ['those that serve', { [one]: 'serves', [two]: 'lame' }, [two], [one]],
    ['those that answer an error, when none serves', { [one]: 'lame', [two]: 'dead' }, [two], [one]],
    ['one that nothing is known of stays', { [one]: 'serves', [two]: 'unknown' }, [two], [one, two]],
    ['and does not come', { [one]: 'serves', [two]: 'unknown' }, [], [one]],
  ]
  for (const [sentence, vips, listed, chosen] of rows) {
    test(sentence, () => expect(chooseAddresses(wanted('n', vips).vips, listed)).toEqual([...chosen]))
  }
})

test('after every change that is planned there is nothing left to do, and nothing of others has changed', () => {
  const address = fc.constantFrom(one, two, '198.18.32.12', '192.0.2.1')
  const verdict = fc.constantFrom<VipVerdict>('serves', 'lame', 'unknown', 'dead')
  const dnsName = fc.constantFrom<string>('a.z', 'b.z', 'c.z', 'd.z')
  const desired = fc.uniqueArray(
    fc.record({
      loadBalancerId: fc.constantFrom('lb_1', 'lb_2', 'lb_3'),
      dnsName,
      vips: fc.uniqueArray(fc.record({ address, verdict }), { selector: (vip) => vip.address }),
    }),
    { selector: (name) => name.dnsName },
  )
  const text = fc.constantFrom(
    ownershipText('rack', 'lb_1'),
    ownershipText('rack', 'lb_2'),
    ownershipText('other', 'lb_1'),
    'v=spf1',
  )
  const observed = fc
    .record({ addresses: fc.uniqueArray(address), texts: fc.uniqueArray(text), others: fc.subarray([types.cname, 28]) })
    .filter(({ addresses, texts, others }) => addresses.length + texts.length + others.length > 0)
    .map(({ addresses, texts, others }) => there(addresses, texts, others))
  const zone = fc.array(fc.tuple(dnsName, observed)).map((entries) => new Map(entries))
  fc.assert(
    fc.property(desired, zone, (names, before) => {
      const after = new Map(before)
      for (const operation of planNames(names, { names: before }, settings)) {
        if (operation.kind === 'yield') continue
        const changed = applyChange(operation.change)
        if (changed === null) after.delete(operation.change.dnsName)
        else after.set(operation.change.dnsName, changed)
      }
      const left = planNames(names, { names: after }, settings).filter(({ kind }) => kind !== 'yield')
      expect(left.map(describeOperation)).toEqual([])
      for (const [name, { texts, addresses, hasOthers }] of before) {
        const foreign = texts.filter((one) => !one.includes('owner=rack'))
        expect((after.get(name)?.texts ?? []).filter((one) => !one.includes('owner=rack'))).toEqual(foreign)
        expect(after.get(name)?.hasOthers ?? false).toBe(hasOthers)
        if (foreign.length === texts.length) expect(after.get(name)?.addresses).toEqual(addresses)
      }
    }),
  )
})
