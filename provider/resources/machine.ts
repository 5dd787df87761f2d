/** `sluice_machine`: a workload on a network. */

import * as v from 'valibot'
import { ipv4Schema } from '../../controller/contract/common.ts'
import { type Machine, machineCreateSchema, machineSchema } from '../../controller/contract/machine.ts'
import { createObject, deleteObject, readObject, refreshObject, updateObject } from '../api/client.ts'
import {
  defineSchema,
  integer,
  isUnknown,
  list,
  object,
  portNumber,
  sizeBetween,
  string,
  unknown,
} from '../plugin/index.ts'
import { admittedBy, aLabel, anId, createdAt, hostTimeouts, id, momentaryFields, projectId } from './attributes.ts'
import { awaitCreated, isAwaited, noteAwaited } from './awaited.ts'
import { createNounDataSources } from './data-sources.ts'
import { defineResource, keepPlanned, refuseImport } from './define.ts'

const path = '/v1/machines'
const ownSchema = v.object({
  ...machineSchema.entries,
  projectId: v.string(),
  hostId: v.string(),
  host: v.string(),
  driver: machineCreateSchema.entries.driver,
})
type OwnMachine = v.InferOutput<typeof ownSchema>

const attributes = {
  id: id('machine'),
  name: string({
    required: true,
    validators: [aLabel()],
    description: 'Its name in the DNS of the network, unique within the project.',
  }),
  projectId: projectId(),
  networkId: string({
    required: true,
    requiresReplace: true,
    validators: [anId('net')],
    description:
      'The network that it is on, which must have a shard attached: refer to the attachment where that is made in the same apply.',
  }),
  hostId: string({
    optional: true,
    computed: true,
    requiresReplace: true,
    useStateForUnknown: true,
    validators: [anId('hst')],
    description: 'The host that it runs on; the least loaded when left out.',
  }),
  host: string({ computed: true, useStateForUnknown: true, description: 'The name of that host.' }),
  driver: string({
    default: 'netns',
    oneOf: ['netns'],
    requiresReplace: true,
    description: 'How it is run: `netns`, a network namespace.',
  }),
  address: string({
    optional: true,
    computed: true,
    useStateForUnknown: true,
    validators: [admittedBy(ipv4Schema, 'be an IPv4 address')],
    description:
      'The address that it is made with: one of the shards of its network, or one that is free when left out. A migration may give it another since, which `addresses` shows and which may be written here as well; any other address needs a new machine.',
  }),
  addresses: list(string(), {
    computed: true,
    useStateForUnknown: true,
    description: 'The addresses that it has now: two while it moves from one to the other.',
  }),
  mac: string({ computed: true, useStateForUnknown: true, description: 'The MAC address of its leg on the network.' }),
  workloads: list(
    object({
      kind: string({
        required: true,
        oneOf: ['web', 'echo'],
        description: '`web` answers HTTP, `echo` what it is sent.',
      }),
      port: integer({ required: true, validators: [portNumber()], description: 'Where it listens, each on its own.' }),
    }),
    { default: [], validators: [sizeBetween(0, 8)], description: 'The built-in servers that run in it, up to 8.' },
  ),
  createdAt: createdAt(),
}

const schema = defineSchema({
  description: 'A machine is a workload that is attached to a network.',
  attributes,
  blocks: { timeouts: hostTimeouts() },
})

/** The address that it was asked for stays, wherever migrations have taken it since. */
const describe = (view: OwnMachine, address: string | undefined) => ({
  ...view,
  address: address ?? view.addresses[0] ?? '',
})

export const machineResource = defineResource({
  name: 'machine',
  schema,
  async create({ desired }, context) {
    const { name, projectId, networkId, hostId, driver, address, workloads } = desired
    const body = {
      name,
      projectId,
      networkId,
      driver,
      workloads,
      ...(hostId !== undefined && { hostId }),
      ...(address !== undefined && { address }),
    }
    const made = await createObject({ path, body, schema: ownSchema }, context)
    context.keep(describe(made, address))
    return describe(await awaitCreated(`${path}/${made.id}`, ownSchema, context), address)
  },
  async read({ state }, context) {
    const view = await refreshObject({ path, id: state.id, among: { projectId: state.projectId } }, ownSchema, context)
    if (view?.status === 'active') noteAwaited(context.privateState)
    return view === null ? null : describe(view, state.address)
  },
  async update({ prior, desired }, context) {
    const { name, workloads, address } = desired
    const view = await updateObject(`${path}/${prior.id}`, { name, workloads }, ownSchema, context)
    noteAwaited(context.privateState)
    return keepPlanned(schema, desired, describe(view, address))
  },
  delete: ({ state }, context) => deleteObject(`${path}/${state.id}`, v.unknown(), context),
  async importState({ id: given }, context) {
    if (!given.startsWith('mch_')) throw refuseImport(given, 'the id of a machine: mch_…')
    const view = await readObject(`${path}/${given}`, ownSchema, context)
    return view === null ? null : describe(view, undefined)
  },
  modifyPlan({ prior, planned }, { privateState }) {
    if (prior === null || planned === null) return undefined
    const { address } = planned
    const isOwn = typeof address === 'string' && !isUnknown(address) && prior.addresses.includes(address)
    return {
      ...(isAwaited(privateState) && { planned: { addresses: unknown } }),
      ...(address !== prior.address && !isOwn && { requiresReplace: [['address']] }),
    }
  },
})

export const machineDataSources = createNounDataSources<Machine>({
  name: 'machine',
  plural: 'machines',
  words: 'machine',
  path,
  idPrefix: 'mch',
  isOfProject: true,
  view: machineSchema,
  description: 'A machine is a workload that is attached to a network.',
  fields: { ...attributes, ...momentaryFields },
  filters: {
    networkId: string({ optional: true, validators: [anId('net')], description: 'Only machines of this network.' }),
  },
  describe: (view) => ({ ...view, address: view.addresses[0] ?? null }),
})
