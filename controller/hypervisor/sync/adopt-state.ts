/**
 * The state is a cache: what is ours on the host and missing in it is put back, so that a plan goes on from what is there.
 * Pure, over the text of a state.
 *
 * The provider's own import leaves out what libvirt does not tell (the stylesheet, cloud-init), which would make each
 * imported domain one to be replaced. So the entry is written as an apply would have left it, from the stack itself, and
 * the plan's refresh reads the rest.
 */

import * as v from 'valibot'
import { libvirtSource } from '../bindings/libvirt-resource.ts'
import { poolName } from '../stack/resource-names.ts'
import type { ObservedHypervisor } from './observe-hypervisor.ts'

const instanceSchema = v.looseObject({ attributes: v.optional(v.record(v.string(), v.unknown())) })
const stateSchema = v.looseObject({
  version: v.literal(4),
  serial: v.number(),
  resources: v.optional(
    v.array(v.looseObject({ type: v.string(), name: v.string(), instances: v.array(instanceSchema) })),
    [],
  ),
})
const blocksSchema = v.record(v.string(), v.record(v.string(), v.record(v.string(), v.unknown())))

export interface Adoption {
  /** Null: nothing is missing. */
  readonly text: string | null
  /** `libvirt_domain.mch_…`. */
  readonly adopted: readonly string[]
}

export function adoptIntoState(
  text: string | null,
  stack: Readonly<Record<string, unknown>>,
  observed: ObservedHypervisor,
  createLineage: () => string,
): Adoption {
  const state =
    text === null ? emptyState(createLineage()) : v.parse(v.pipe(v.string(), v.parseJson(), stateSchema), text)
  const blocks = v.parse(v.optional(blocksSchema, {}), stack.resource)
  const known = new Set(
    state.resources.filter(({ instances }) => instances.length > 0).map(({ type, name }) => `${type}.${name}`),
  )
  const ids = findIds(blocks, observed)
  const missing = Object.entries(blocks).flatMap(([type, named]) =>
    Object.entries(named).flatMap(([name, block]) => {
      const id = ids.get(`${type}.${name}`)
      return id === undefined || known.has(`${type}.${name}`) ? [] : [{ type, name, block, id }]
    }),
  )
  if (missing.length === 0) return { text: null, adopted: [] }
  const isAdopted = new Set(missing.map(({ type, name }) => `${type}.${name}`))
  const resources = [
    ...state.resources.filter(({ type, name }) => !isAdopted.has(`${type}.${name}`)),
    ...missing.map(({ type, name, block, id }) => ({
      mode: 'managed',
      type,
      name,
      provider: `provider["${libvirtSource}"]`,
      instances: [
        {
          schema_version: 0,
          attributes: { ...(defaults[type] ?? {}), ...resolveBlock(block, ids), id },
          dependencies: dependenciesOf(block),
        },
      ],
    })),
  ]
  return { text: JSON.stringify({ ...state, serial: state.serial + 1, resources }), adopted: [...isAdopted] }
}

/** The provider's own, which libvirt does not tell and whose absence would make another domain. */
const defaults: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  libvirt_domain: { coreos_ignition: '', fw_cfg_name: 'opt/com.coreos/config' },
}

const emptyState = (lineage: string) => ({
  version: 4 as const,
  terraform_version: '1.12.6',
  serial: 0,
  lineage,
  outputs: {},
  resources: [],
})

type Blocks = v.InferOutput<typeof blocksSchema>

/** Of what is on the host already: by its name, which follows from our ids. */
function findIds(blocks: Blocks, { pools, domains, volumes }: ObservedHypervisor): ReadonlyMap<string, string> {
  const ids = new Map<string, string>()
  const pool = pools.find(({ name }) => name === poolName)
  if (pool !== undefined) ids.set(`libvirt_pool.${poolName}`, pool.uuid)
  for (const { name, uuid, isOurs } of domains) if (isOurs) ids.set(`libvirt_domain.${name}`, uuid)
  const used = new Set(
    Object.entries(blocks.libvirt_volume ?? {}).flatMap(([, block]) =>
      volumes.has(String(block.name)) && typeof block.base_volume_id === 'string'
        ? referencesOf(block.base_volume_id)
        : [],
    ),
  )
  for (const [type, named] of Object.entries(blocks)) {
    for (const [name, block] of Object.entries(named)) {
      const path = volumes.get(String(block.name))
      if (path === undefined) continue
      if (type === 'libvirt_cloudinit_disk') ids.set(`${type}.${name}`, `${path};00000000-0000-4000-8000-000000000000`)
      // A file's upload may have been cut off. It is whole where a disk lies over it, and else sent again.
      const isWhole = block.source === undefined || used.has(`${type}.${name}`)
      if (type === 'libvirt_volume' && isWhole) ids.set(`${type}.${name}`, path)
    }
  }
  return ids
}

const reference = /\$\{([a-z_]+\.[A-Za-z0-9_-]+)\.id\}/g
const expression = /\$\{"([$%]+)"\}/g

const referencesOf = (text: string) => [...text.matchAll(reference)].map(([, address = '']) => address)

/** With the ids of what it refers to, and literal text as it is. */
const resolveBlock = (block: Readonly<Record<string, unknown>>, ids: ReadonlyMap<string, string>) =>
  Object.fromEntries(
    Object.entries(block)
      .filter(([key]) => key !== '//' && key !== 'depends_on')
      .map(([key, value]) => [key, resolve(value, ids)]),
  )

function resolve(value: unknown, ids: ReadonlyMap<string, string>): unknown {
  if (typeof value === 'string') {
    const whole = value.replace(reference, (_, address: string) => ids.get(address) ?? '')
    return whole.replace(expression, '$1')
  }
  if (Array.isArray(value)) return value.map((one) => resolve(one, ids))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, resolve(one, ids)]))
}

function dependenciesOf(block: Readonly<Record<string, unknown>>): readonly string[] {
  const { depends_on = [], ...rest } = block
  const named = Array.isArray(depends_on) ? depends_on.map(String) : []
  return [...new Set([...named, ...referencesOf(JSON.stringify(rest))])]
}
