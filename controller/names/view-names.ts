/** Balancers' names as callers see them. Reads. */

import type { Condition } from '../contract/common.ts'
import type { Status } from '../contract/status.ts'
import type { StoredObject } from '../control-plane/store.ts'
import { type LoadBalancerValue, loadBalancerKind, projectKind } from '../objects.ts'
import type { ControllerContext } from '../services.ts'
import { dnsNameOf, labelBalancers } from './desired-names.ts'
import { loadBalancerNameKind } from './name-object.ts'

export interface NameViewer {
  /** Null: no names are kept. Told from the first moment on, before the name server has heard of it. */
  nameOf(loadBalancer: StoredObject<LoadBalancerValue>): string | null
  conditionsOf(id: string): readonly Condition[]
}

const nameless: NameViewer = { nameOf: () => null, conditionsOf: () => [] }

/** For one reading of what a client has. @param clientId whose: a project's id, or undefined for all */
export function createNameViewer(
  { store, settings }: Pick<ControllerContext, 'store' | 'settings'>,
  clientId: string | undefined,
): NameViewer {
  const { names: kept } = settings
  if (kept === null) return nameless
  const names = new Map(store.snapshot(loadBalancerNameKind, clientId).map((object) => [object.id, object]))
  const slugs = new Map<string, string | undefined>()
  const labels = new Map<string, ReadonlyMap<string, string>>()

  function slugOf(projectId: string): string | undefined {
    if (!slugs.has(projectId)) {
      const [project] = store.snapshot(projectKind, projectId)
      slugs.set(projectId, project?.value.slug)
    }
    return slugs.get(projectId)
  }

  function labelOf({ id, value }: StoredObject<LoadBalancerValue>): string | undefined {
    const { projectId } = value
    const known = labels.get(projectId) ?? labelBalancers(store.snapshot(loadBalancerKind, projectId), names)
    labels.set(projectId, known)
    return known.get(id)
  }

  return {
    nameOf(loadBalancer) {
      const slug = slugOf(loadBalancer.value.projectId)
      const label = slug === undefined ? undefined : labelOf(loadBalancer)
      return slug === undefined || label === undefined ? null : dnsNameOf(label, slug, kept.zone)
    },
    conditionsOf: (id) => {
      const condition = names.get(id)?.value.condition
      return condition === undefined ? [] : [condition]
    },
  }
}

/** How it stands with all names of a client. Null: none are kept. */
export function summarizeNames(
  { store, settings }: Pick<ControllerContext, 'store' | 'settings'>,
  clientId: string | undefined,
): Status['names'] {
  const { names: kept } = settings
  if (kept === null) return null
  const conditions = store.snapshot(loadBalancerNameKind, clientId).map(({ value }) => value.condition)
  const queued = conditions.filter(({ status, reason }) => status === 'false' && reason !== 'nothingServes')
  return {
    zone: kept.zone,
    ttlSeconds: kept.ttlSeconds,
    published: conditions.filter(({ status }) => status === 'true').length,
    queued: queued.length,
    reason: queued[0]?.message ?? null,
  }
}
