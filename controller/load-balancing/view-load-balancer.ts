/** Load balancers as callers see them: what is wanted, and live what their instances and members are. Reads. */

import { viewObject } from '../access/view.ts'
import type { LoadBalancer, Member } from '../contract/load-balancer.ts'
import type { StoredObject } from '../control-plane/store.ts'
import { createNameViewer } from '../names/view-names.ts'
import {
  hostKind,
  hostStatusKind,
  type InstanceValue,
  instanceKind,
  instanceStatusKind,
  type LoadBalancerValue,
  loadBalancerSlotsKind,
  loadBalancerStatusKind,
  type MemberValue,
  machineKind,
  type RecordedMemberStatus,
} from '../objects.ts'
import { mergeMembers } from '../observed/merge-members.ts'
import { findInstanceReport } from '../observed/report-index.ts'
import type { ControllerContext } from '../services.ts'
import { endpointOf, isNamed } from './members.ts'
import { isStaying } from './scaling/advance-slots.ts'
import { settleTraffic } from './settle-traffic.ts'

type ViewContext = Pick<ControllerContext, 'store' | 'observed' | 'settings'>

/** One reading of what all balancers of a client are shown with, so that a list costs one reading as well. */
export type LoadBalancerViewer = ReturnType<typeof createLoadBalancerViewer>

/** @param clientId whose: a project's id, or undefined for all */
export function createLoadBalancerViewer(context: ViewContext, clientId: string | undefined) {
  const { store, observed } = context
  const statuses = byId(store.snapshot(loadBalancerStatusKind, clientId))
  const slots = byId(store.snapshot(loadBalancerSlotsKind, clientId))
  const machines = byId(store.snapshot(machineKind, clientId))
  const instanceStatuses = byId(store.snapshot(instanceStatusKind, clientId))
  const hosts = byId(store.snapshot(hostKind))
  const hostStatuses = byId(store.snapshot(hostStatusKind))
  const instances = Map.groupBy(store.snapshot(instanceKind, clientId), ({ value }) => value.loadBalancerId)

  const names = createNameViewer(context, clientId)

  const addressOfMachine = (id: string) => machines.get(id)?.value.addresses[0]?.address

  function reportOf({ id, value }: StoredObject<InstanceValue>) {
    const host = hosts.get(value.hostId)?.value.name
    // What a silent host said last is not so any more, as far as anybody knows.
    const isSilent = hostStatuses.get(value.hostId)?.value.status === 'silent'
    const report = host === undefined || isSilent ? undefined : observed.get(host)?.report
    return report === undefined ? undefined : findInstanceReport(report, id)
  }

  function viewInstance(instance: StoredObject<InstanceValue>): LoadBalancer['instances'][number] {
    const { slot, hostId, driver, uplinkAddress, networkAddress } = instance.value
    const status = instanceStatuses.get(instance.id)?.value
    return {
      id: instance.id,
      slot,
      host: hosts.get(hostId)?.value.name ?? null,
      driver,
      status: status?.status ?? 'placing',
      conditions: (status?.conditions ?? []).map((condition) => ({ ...condition })),
      uplinkAddress,
      networkAddress,
      heldVips: [...(reportOf(instance)?.heldVips ?? [])],
    }
  }

  function viewMembers({ id, value, version }: StoredObject<LoadBalancerValue>): readonly Member[] {
    const reports = (instances.get(id) ?? []).flatMap((instance) => reportOf(instance) ?? [])
    const ids = value.members.filter(({ draining }) => draining !== true).map((member) => member.id)
    const status = statuses.get(id)?.value
    const recorded = status?.members ?? {}
    const live = reports.length > 0 ? mergeMembers(ids, reports, recorded) : recorded
    const statusOf = (member: MemberValue): RecordedMemberStatus => {
      if (member.draining !== true) return live[member.id] ?? 'unknown'
      // What was recorded before this change does not answer for it.
      const isOver = recorded[member.id] === 'drained' && status?.observedGeneration === version
      return isOver ? 'drained' : 'draining'
    }
    return value.members.map((member) => viewMember(value, member, statusOf(member)))
  }

  function viewMember(value: LoadBalancerValue, member: MemberValue, status: RecordedMemberStatus): Member {
    const endpoint = endpointOf(member, value.trafficType, addressOfMachine)
    const { id, url, machineId, weight, draining = false } = member
    const [listener] = value.listeners
    const port = endpoint?.port ?? (value.listeners.length === 1 ? (listener?.memberPort ?? listener?.port) : undefined)
    const isFollowed = endpoint !== null && isNamed(endpoint)
    return {
      id,
      address: isFollowed ? null : (endpoint?.address ?? null),
      port: port ?? null,
      host: isFollowed ? endpoint.address : null,
      url,
      machineId,
      weight,
      draining,
      status,
    }
  }

  return {
    viewMembers,

    view(object: StoredObject<LoadBalancerValue>): LoadBalancer {
      const { id, value } = object
      const status = statuses.get(id)?.value
      // One on its way out still serves, but nobody should begin with it.
      const vips = (slots.get(id)?.value.slots ?? []).filter(isStaying).map(({ vip }) => vip)
      const { name, projectId, networkId, trafficType, algorithm, healthCheck } = value
      return {
        ...viewObject(object, {
          name,
          projectId,
          conditions: [...(status?.conditions ?? []), ...names.conditionsOf(id)],
        }),
        status: value.deletingSince === undefined ? (status?.status ?? 'provisioning') : 'deleting',
        networkId,
        trafficType,
        algorithm,
        listeners: value.listeners.map((listener) => ({ ...listener })),
        members: [...viewMembers(object)],
        healthCheck,
        ...settleTraffic(value),
        forwardedFor: value.forwardedFor,
        driver: value.driver ?? 'netns',
        instanceCount: value.instanceCount,
        autoScaling: value.autoScaling,
        url: urlOf(value, names.nameOf(object) ?? vips[0]),
        dnsName: names.nameOf(object),
        vips,
        instances: (instances.get(id) ?? []).map(viewInstance).toSorted((a, b) => a.slot - b.slot),
      }
    },
  }
}

/** Where clients reach it. @param at its name; its first VIP where no names are kept; undefined: it has none yet */
export function urlOf({ trafficType, listeners }: LoadBalancerValue, at: string | undefined): string | null {
  const port = listeners[0]?.port
  if (at === undefined || port === undefined) return null
  if (trafficType === 'tcp') return `tcp://${at}:${port}`
  return port === 80 ? `http://${at}` : `http://${at}:${port}`
}

const byId = <Value>(objects: readonly StoredObject<Value>[]) => new Map(objects.map((object) => [object.id, object]))
