/** What the constructs let through, the provider lets through as well: random services against its own offline checks. */

import { expect, test } from 'bun:test'
import { TerraformStack, Testing } from 'cdktf'
import fc from 'fast-check'
import { unknown } from '../plugin/index.ts'
import { validateConfig } from '../plugin/plan/validate.ts'
import { isRawList, isRawObject, mapObject, type Raw } from '../plugin/values/raw.ts'
import { fromJson } from '../plugin/values/wire.ts'
import { sluiceProvider } from '../provider.ts'
import { BalancedService, BlueGreenService, PrivateNetwork, Project, SluiceProvider } from './index.ts'

const schemas = new Map(sluiceProvider.resources?.map(({ name, schema }) => [`sluice_${name}`, schema]))

/** An expression is not known before Terraform runs. */
function withUnknowns(raw: Raw): Raw {
  if (typeof raw === 'string') return raw.includes('${') ? unknown : raw
  if (isRawList(raw)) return raw.map(withUnknowns)
  return isRawObject(raw) ? mapObject(raw, withUnknowns) : raw
}

const metaArguments = new Set(['//', 'depends_on'])

function findRefused(synthesized: string): readonly string[] {
  const { resource } = JSON.parse(synthesized) as { resource: Record<string, Record<string, Record<string, unknown>>> }
  return Object.entries(resource).flatMap(([type, all]) =>
    Object.entries(all).flatMap(([name, attributes]) => {
      const schema = schemas.get(type)
      if (schema === undefined) return [`there is no ${type}`]
      const given = Object.fromEntries(Object.entries(attributes).filter(([key]) => !metaArguments.has(key)))
      const config = withUnknowns(fromJson(schema.fields, given))
      if (!isRawObject(config)) return [`${name} is no object`]
      return validateConfig(schema, config).map(({ summary }) => `${type}.${name}: ${summary}`)
    }),
  )
}

/** Mostly right, and now and then at a limit or beyond it. */
const mostly = <Value>(right: readonly Value[], others: readonly Value[]) =>
  fc.oneof({ arbitrary: fc.constantFrom(...right), weight: 9 }, { arbitrary: fc.constantFrom(...others), weight: 1 })
const optional = <Value>(of: fc.Arbitrary<Value>) => fc.option(of, { nil: undefined })
const networks = fc.record({
  addressSpace: mostly(
    ['10.20.0.0/16', '10.20.0.0/24', '10.0.0.0/8'],
    ['10.20.0.0/28', '10.20.0.1/24', '10.20.0.0/30', 'x'],
  ),
  shards: optional(mostly([1, 2, 3], [0, 1.5, 257])),
  shardSizeAddresses: optional(mostly([16, 64, 256], [100, 8192])),
  mtu: optional(mostly([1280, 1400, 8950], [100])),
})
const services = fc.record({
  name: optional(fc.oneof(fc.constantFrom('Web Shop', 'ü', 'a'.repeat(128)), fc.string({ maxLength: 20 }))),
  machines: optional(mostly([1, 2, 5], [-1, 0, 14, 1.5])),
  port: optional(mostly([1, 80, 65_535], [0, 65_536])),
  machinePort: optional(mostly([1, 8080, 65_535], [0, 65_536])),
  trafficType: optional(fc.constantFrom('http' as const, 'tcp' as const)),
  instanceCount: optional(mostly([1, 2, 8], [0, 9])),
  greenPercent: optional(mostly([0, 50, 100], [-5, 105])),
})

test('what the constructs let through, the provider does', () => {
  let passed = 0
  fc.assert(
    fc.property(networks, services, (networkProps, { greenPercent, ...serviceProps }) => {
      const stack = new TerraformStack(Testing.app(), 'stack')
      new SluiceProvider(stack, 'sluice')
      const project = new Project(stack, 'project', { name: 'shop', user: 'jane' })
      const network = new PrivateNetwork(stack, 'front', { project, ...networkProps })
      const { machines, ...rest } = serviceProps
      if (greenPercent === undefined) new BalancedService(stack, 'web', { network, ...serviceProps })
      else
        new BlueGreenService(stack, 'web', {
          ...rest,
          network,
          greenPercent,
          blue: { machines },
          green: { machines: 1 },
        })
      const synthesized = synthesizeIfRight(stack)
      if (synthesized === null) return
      passed++
      expect(findRefused(synthesized)).toEqual([])
    }),
    { numRuns: 100 },
  )
  // Enough of them must be right for this to say anything.
  expect(passed).toBeGreaterThan(10)
}, 60_000)

/** Null: the checks have found something. */
function synthesizeIfRight(stack: TerraformStack): string | null {
  try {
    return Testing.synth(stack, true)
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('Validation failed')) return null
    throw error
  }
}
