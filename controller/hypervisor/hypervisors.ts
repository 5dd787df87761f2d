/** The libvirts of hosts as admins set and see them. Touches the store; hosts are synced by `sync/keep-hosts.ts`. */

import { updateObject } from '../access/change-object.ts'
import { settle } from '../access/declare-object.ts'
import { refuseNotFound } from '../access/problems.ts'
import { findVisible } from '../access/view.ts'
import type { AllowHarm, Hypervisor, HypervisorSettings } from '../contract/hypervisor.ts'
import { type Outcome, refuse, succeed } from '../contract/problem.ts'
import type { StoredObject } from '../control-plane/store.ts'
import { hostKind } from '../objects.ts'
import type { ControllerContext, RequestInfo } from '../services.ts'
import { type HypervisorValue, hypervisorKind, hypervisorStatusKind, unknownStatus } from './hypervisor-kinds.ts'

export interface HypervisorsService {
  show(hostId: string, request: RequestInfo): Promise<Outcome<Hypervisor>>
  /** Idempotent: a host has one. */
  set(hostId: string, settings: HypervisorSettings, request: RequestInfo): Promise<Outcome<Hypervisor>>
  /** What is ours on it goes, and then it is forgotten; the host itself stays. */
  release(hostId: string, request: RequestInfo): Promise<Outcome<Hypervisor>>
  /** Lets the next plan destroy or replace what it was refused for. */
  allow(hostId: string, allowed: AllowHarm, request: RequestInfo): Promise<Outcome<Hypervisor>>
}

type Context = Pick<ControllerContext, 'store' | 'actions' | 'now'>

export function createHypervisorsService(context: Context): HypervisorsService {
  const { store } = context

  const change = async (
    hostId: string,
    request: RequestInfo,
    apply: (value: HypervisorValue) => HypervisorValue,
  ): Promise<Outcome<Hypervisor>> => {
    const decide = ({ value }: StoredObject<HypervisorValue>) => ({ kind: 'write' as const, value: apply(value) })
    const updated = await updateObject(context, { kind: hypervisorKind, id: hostId, apply: decide }, request)
    return updated.ok ? succeed(await view(updated.value)) : updated
  }

  const view = async ({ id, version, value }: StoredObject<HypervisorValue>): Promise<Hypervisor> => {
    const { allowed: _, isLeaving = false, ...settings } = value
    const status = (await store.get(hypervisorStatusKind, id))?.value ?? unknownStatus
    return { hostId: id, version, ...settings, ...status, ...(isLeaving ? { status: 'leaving' as const } : {}) }
  }

  return {
    async show(hostId) {
      const found = await store.get(hypervisorKind, hostId)
      return found === null ? refuseNotFound('libvirt of host', hostId) : succeed(await view(found))
    },

    async set(hostId, settings, request) {
      const host = await findVisible(context, hostKind, hostId, () => null, request)
      if (!host.ok) return host
      const value: HypervisorValue = { ...settings, host: host.value.value.name, allowed: [] }
      const { actionId, traceparent } = request
      const events = [{ type: 'host.updated', projectId: null, subject: hostId, data: { name: value.host } }]
      const apply = () => ({ kind: 'write' as const, value, events })
      const settled = await settle(
        () => context.actions.act({ kind: hypervisorKind, id: hostId, actionId, traceparent, apply }),
        hypervisorKind.name,
        hostId,
      )
      if (!settled.ok) return refuse(settled.problem)
      const written = await store.get(hypervisorKind, hostId)
      return written === null ? refuseNotFound('libvirt of host', hostId) : succeed(await view(written))
    },

    release: (hostId, request) => change(hostId, request, (value) => ({ ...value, isLeaving: true })),

    allow: (hostId, { addresses }, request) =>
      change(hostId, request, (value) => ({ ...value, allowed: [...new Set([...value.allowed, ...addresses])] })),
  }
}
