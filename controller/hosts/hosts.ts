/** Hosts: what the rack has, in which each machine that runs the agent is named, joins, rests in maintenance and leaves. */

import { checkExpectedVersion, removeObject, updateObject } from '../access/change-object.ts'
import { declareObject } from '../access/declare-object.ts'
import { createObjectId } from '../access/object-id.ts'
import { refuseForbidden, refuseInUse } from '../access/problems.ts'
import { findVisible, listObjects, viewObject } from '../access/view.ts'
import type { Host, HostCreate } from '../contract/machine.ts'
import { type Outcome, type Problem, refuse, succeed } from '../contract/problem.ts'
import { type EventDraft, type StoredObject, type Write, write } from '../control-plane/store.ts'
import { hypervisorKind } from '../hypervisor/hypervisor-kinds.ts'
import {
  type HostValue,
  hostKind,
  hostStatusKind,
  instanceKind,
  joinTokenKind,
  loadBalancerKind,
  machineKind,
  systemClient,
} from '../objects.ts'
import type { ControllerContext, RequestInfo, Services } from '../services.ts'
import { type HostBus, throwOut } from './host-bus.ts'
import { joinHost } from './join-host.ts'
import { issueJoinToken } from './join-token.ts'

export type { HostBus } from './host-bus.ts'

export function createHostsService(context: ControllerContext, bus: HostBus): Services['hosts'] {
  const view = (object: StoredObject<HostValue>) => viewHost(context, object)
  const find = (id: string, request: RequestInfo) => findVisible(context, hostKind, id, projectIdOf, request)

  return {
    async create(input, request) {
      if (request.caller.scope !== 'admin') return refuseForbidden('add hosts')
      const host = await declareHost(context, input, request)
      if (!host.ok) return host
      const token = await issueJoinToken(context, host.value, { ...input, caFingerprint: bus.caFingerprint }, request)
      return token.ok ? succeed({ ...view(host.value), ...token.value }) : token
    },
    async list(query, request) {
      return succeed(listObjects(context, { kind: hostKind, projectIdOf, view }, query, request))
    },
    async show(id, request) {
      const found = await find(id, request)
      return found.ok ? succeed(view(found.value)) : found
    },
    async update(id, input, request) {
      if (request.caller.scope !== 'admin') return refuseForbidden('change hosts')
      const updated = await updateObject(
        context,
        {
          kind: hostKind,
          id,
          apply: ({ value }) => {
            const changed = { ...value, ...withoutUndefined(input) }
            if (Bun.deepEquals(changed, value)) return { kind: 'keep' }
            return { kind: 'write', value: changed, events: [describeEvent('updated', id, value)] }
          },
        },
        request,
      )
      context.wake()
      return updated.ok ? succeed(view(updated.value)) : updated
    },
    async remove(id, request) {
      if (request.caller.scope !== 'admin') return refuseForbidden('remove hosts')
      return removeHost(context, bus, id, request)
    },
    join: (name, input, traceparent) => joinHost(context, bus, name, input, traceparent),
  }
}

/** A host belongs to the rack: only an admin sees it. */
const projectIdOf = () => null

/** A name that is there already is answered with its host: one that was installed anew joins again under its name. */
async function declareHost(
  context: ControllerContext,
  input: HostCreate,
  request: RequestInfo,
): Promise<Outcome<StoredObject<HostValue>>> {
  const before = findHost(context, input.name)
  if (before !== undefined) return succeed(before)
  const id = createObjectId(hostKind, systemClient, request.seed)
  const value: HostValue = {
    name: input.name,
    maintenance: false,
    labels: {},
    underlayAddress: null,
    publicKey: null,
    joinedAt: null,
  }
  const events = [describeEvent('created', id, value)]
  return declareObject(context, { kind: hostKind, id, scope: systemClient, name: input.name, value, events }, request)
}

export const findHost = (context: Pick<ControllerContext, 'store'>, name: string) =>
  context.store.snapshot(hostKind).find(({ value }) => value.name === name)

function viewHost(context: ControllerContext, object: StoredObject<HostValue>): Host {
  const { name, maintenance, labels, underlayAddress, joinedAt } = object.value
  const status = context.store.snapshot(hostStatusKind).find(({ id }) => id === object.id)?.value.status
  const heard = context.observed.get(name)
  const shown = joinedAt === null ? 'awaiting-join' : (status ?? 'awaiting-join')
  return {
    ...viewObject(object, { name, projectId: null }),
    status: maintenance && shown === 'active' ? 'maintenance' : shown,
    underlayAddress,
    agentVersion: heard?.report.agentVersion ?? null,
    lastReportAt: heard === undefined ? null : new Date(heard.receivedAt).toISOString(),
    maintenance,
    labels: { ...labels },
  }
}

async function removeHost(
  context: ControllerContext,
  bus: HostBus,
  id: string,
  request: RequestInfo,
): Promise<Outcome<boolean>> {
  const found = await findVisible(context, hostKind, id, projectIdOf, request)
  if (!found.ok) return found
  const { name, publicKey } = found.value.value
  const problem = checkExpectedVersion('host', found.value, request) ?? checkUnused(context, id, name)
  if (problem !== null) return refuse(problem)
  const thrownOut = await throwOut(context, bus, publicKey)
  if (!thrownOut.ok) return thrownOut
  const removed = await removeObject(
    context,
    {
      kind: hostKind,
      id,
      scopes: [systemClient],
      check: () => checkUnused(context, id, name),
      beside: () => listBeside(context, id),
      events: ({ value }) => [describeEvent('deleted', id, value)],
    },
    request,
  )
  context.wake()
  return removed
}

function checkUnused(context: ControllerContext, id: string, name: string): Problem | null {
  const holders = listHolders(context, id)
  return holders.length === 0 ? null : refuseInUse('host', name, holders).problem
}

/**
 * The machines and balancers that run there, by name. What is being deleted keeps no host: a dead one could never give
 * it up, and its removal is the operator's word that nothing of it runs any more.
 */
function listHolders({ store }: ControllerContext, hostId: string): readonly string[] {
  const machines = store
    .snapshot(machineKind)
    .filter(({ value }) => value.hostId === hostId && value.deletingSince === undefined)
  const balancerIds = new Set(
    store
      .snapshot(instanceKind)
      .flatMap(({ value }) =>
        value.hostId === hostId && value.deletingSince === undefined ? [value.loadBalancerId] : [],
      ),
  )
  const balancers = store
    .snapshot(loadBalancerKind)
    .filter(({ id, value }) => balancerIds.has(id) && value.deletingSince === undefined)
  return [
    ...machines.map(({ value }) => `machine ${value.name}`),
    ...balancers.map(({ value }) => `load balancer ${value.name}`),
    ...store.snapshot(hypervisorKind).flatMap(({ id }) => (id === hostId ? ['what is ours in its libvirt'] : [])),
  ]
}

function listBeside({ store }: ControllerContext, hostId: string): readonly Write[] {
  const status = store.snapshot(hostStatusKind).filter(({ id }) => id === hostId)
  const tokens = store.snapshot(joinTokenKind).filter(({ value }) => value.hostId === hostId)
  return [
    ...status.map(({ id, version }) => write({ kind: hostStatusKind, id, expect: version, value: null })),
    ...tokens.map(({ id, version }) => write({ kind: joinTokenKind, id, expect: version, value: null })),
  ]
}

function withoutUndefined<Fields extends object>(fields: Fields): { [Key in keyof Fields]?: NonNullable<Fields[Key]> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Key in keyof Fields]?: NonNullable<Fields[Key]>
  }
}

const describeEvent = (type: 'created' | 'updated' | 'deleted', id: string, value: HostValue): EventDraft => ({
  type: `host.${type}`,
  projectId: null,
  subject: id,
  data: { name: value.name },
})
