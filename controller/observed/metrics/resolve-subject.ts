/** What a question's `object` names: whose blocks to read, and which series in them are its own. Reads the store. */

import type { Measured } from '../../../agent/contract/point-names.ts'
import { refuseNotFound } from '../../access/problems.ts'
import { findVisible, maySee } from '../../access/view.ts'
import { type Outcome, succeed } from '../../contract/problem.ts'
import type { Kind } from '../../control-plane/store.ts'
import {
  hostKind,
  instanceKind,
  loadBalancerKind,
  machineKind,
  networkKind,
  projectKind,
  shardKind,
} from '../../objects.ts'
import type { ControllerContext, RequestInfo } from '../../services.ts'
import type { Subject } from './select-series.ts'

type Context = Pick<ControllerContext, 'store'>
type Request = Pick<RequestInfo, 'caller'>
type Owned = { readonly projectId: string }

const ofInstances = ['instance', 'listener', 'member'] as const

/** What the caller may not see is not found. */
export async function resolveSubject(context: Context, object: string, request: Request): Promise<Outcome<Subject>> {
  const [id = '', port, ...rest] = object.split(':')
  if (port !== undefined) {
    if (!id.startsWith('lb_') || !/^\d{1,5}$/.test(port) || rest.length > 0) return refuseNotFound('listener', object)
    return resolveListener(context, id, Number(port), request)
  }
  const prefix = /^([a-z]+)_/.exec(id)?.[1]
  switch (prefix) {
    case 'lb':
      return resolveOwned(context, loadBalancerKind, id, request, {
        holder: id,
        kinds: ofInstances,
        includes: () => true,
      })
    case 'lbi':
      return resolveInstance(context, id, request)
    case 'mbr':
      return resolveMember(context, id, request)
    case 'net':
      return resolveOwned(context, networkKind, id, request, {
        holder: id,
        kinds: ['network'],
        includes: ({ kind }) => kind === 'network',
      })
    case 'mch':
      return resolveMachine(context, id, request)
    case 'shd':
      return resolveOwned(context, shardKind, id, request, { holder: id, kinds: ['shard'], includes: () => true })
    case 'prj':
      return resolveProject(context, id, request)
    default:
      return resolveOfRack(context, id, request)
  }
}

async function resolveOwned<Value extends Owned>(
  context: Context,
  kind: Kind<Value>,
  id: string,
  request: Request,
  subject: Subject,
): Promise<Outcome<Subject>> {
  const found = await findVisible(context, kind, id, ({ value }) => value.projectId, request)
  return found.ok ? succeed(subject) : found
}

const isOfInstance = (measured: Measured, instanceId: string) =>
  'instanceId' in measured && measured.instanceId === instanceId

async function resolveInstance(context: Context, id: string, request: Request): Promise<Outcome<Subject>> {
  const found = await findVisible(context, instanceKind, id, ({ value }) => value.projectId, request)
  if (!found.ok) return found
  const holder = found.value.value.loadBalancerId
  return succeed({ holder, kinds: ofInstances, includes: (measured) => isOfInstance(measured, id) })
}

async function resolveListener(
  context: Context,
  id: string,
  port: number,
  request: Request,
): Promise<Outcome<Subject>> {
  return resolveOwned(context, loadBalancerKind, id, request, {
    holder: id,
    kinds: ['listener', 'member'],
    includes: (measured) => 'port' in measured && measured.port === port,
  })
}

/** A member's id does not tell its balancer. */
async function resolveMember({ store }: Context, id: string, { caller }: Request): Promise<Outcome<Subject>> {
  const balancer = store
    .snapshot(loadBalancerKind, caller.projectId ?? undefined)
    .find(({ value }) => value.members.some((member) => member.id === id))
  if (balancer === undefined || !maySee(caller, balancer.value.projectId)) return refuseNotFound('member', id)
  return succeed({
    holder: balancer.id,
    kinds: ['member'],
    includes: (measured) => measured.kind === 'member' && measured.memberId === id,
  })
}

async function resolveMachine(context: Context, id: string, request: Request): Promise<Outcome<Subject>> {
  const found = await findVisible(context, machineKind, id, ({ value }) => value.projectId, request)
  if (!found.ok) return found
  return succeed({
    holder: found.value.value.networkId,
    kinds: ['machine'],
    includes: (measured) => measured.kind === 'machine' && measured.machineId === id,
  })
}

/** What a project's own collectd measures. */
async function resolveProject(context: Context, id: string, request: Request): Promise<Outcome<Subject>> {
  const found = await findVisible(context, projectKind, id, (project) => project.id, request)
  if (!found.ok) return found
  return succeed({ holder: id, kinds: [], includes: () => false, includesForeign: true })
}

/** A host, by its id or its name, or the controller. */
async function resolveOfRack({ store }: Context, id: string, { caller }: Request): Promise<Outcome<Subject>> {
  if (caller.scope !== 'admin') return refuseNotFound('object', id)
  const includes = () => true
  if (id === 'controller') return succeed({ holder: id, kinds: ['controller'], includes })
  const host = store.snapshot(hostKind).find((one) => one.id === id || one.value.name === id)
  if (host === undefined) return refuseNotFound('object', id)
  return succeed({ holder: host.value.name, kinds: ['host', 'agent'], includes, includesForeign: true })
}
