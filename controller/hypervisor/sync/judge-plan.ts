/**
 * Whether a plan does no more harm than was asked for. A domain is destroyed if somebody has asked for its removal, and
 * replaced if its size is another or it is gone anyway; whatever else would destroy or replace anything is refused, for a
 * person to decide. Pure.
 */

import * as v from 'valibot'
import type { DesiredHost } from '../desired-domain.ts'
import { imageVolume, resourceName } from '../stack/resource-names.ts'

/** Of `tofu show -json`, what is read. */
const planSchema = v.object({
  resource_changes: v.optional(
    v.array(
      v.object({
        address: v.string(),
        type: v.string(),
        name: v.string(),
        change: v.object({
          actions: v.array(v.string()),
          replace_paths: v.optional(v.array(v.array(v.union([v.string(), v.number()]))), []),
        }),
      }),
    ),
    [],
  ),
})
export type Plan = v.InferOutput<typeof planSchema>

export const parsePlan = (json: string): Plan => v.parse(v.pipe(v.string(), v.parseJson(), planSchema), json)

export interface PlannedHarm {
  readonly address: string
  readonly action: 'destroy' | 'replace'
  /** The attributes whose change makes a replacement. */
  readonly because: readonly string[]
}

export interface Judgement {
  /** Domains that are replaced as asked: they are shut down before, and keep their volumes. */
  readonly resizedIds: readonly string[]
  /** What nobody asked for; none: it may be applied. */
  readonly refused: readonly PlannedHarm[]
}

/** The size of a domain, which libvirt's provider can only change by replacing it. */
const sizes: ReadonlySet<string> = new Set(['vcpu', 'memory', 'disk'])

export function judgePlan(plan: Plan, desired: DesiredHost, allowed: ReadonlySet<string> = new Set()): Judgement {
  const removed = new Set(desired.removedIds)
  const images = new Set(
    desired.domains.flatMap(({ disks }) =>
      disks.flatMap(({ image }) => (image === null ? [] : resourceName(imageVolume(image)))),
    ),
  )
  const resizedIds: string[] = []
  const refused: PlannedHarm[] = []
  for (const { address, type, name, change } of plan.resource_changes) {
    if (!change.actions.includes('delete')) continue
    const isReplaced = change.actions.includes('create')
    const because = [...new Set(change.replace_paths.map(([first]) => String(first)))].toSorted()
    if (isReplaced && type === 'libvirt_domain' && because.length > 0 && because.every((path) => sizes.has(path))) {
      resizedIds.push(name)
      continue
    }
    const isAsked = !isReplaced && (desired.isLeaving || isOfRemoved(name, removed) || isUnusedImage(name, images))
    if (!isAsked && !allowed.has(address)) {
      refused.push({ address, action: isReplaced ? 'replace' : 'destroy', because })
    } else if (isReplaced && type === 'libvirt_domain') resizedIds.push(name)
  }
  return { resizedIds, refused }
}

/** The domain itself, and its volumes, whose names begin with its id. */
const isOfRemoved = (name: string, removed: ReadonlySet<string>) =>
  removed.has(name) || removed.has(name.slice(0, name.indexOf('-')))

/** Images are files that came from us, and can come again. */
const isUnusedImage = (name: string, images: ReadonlySet<string>) => name.startsWith('image-') && !images.has(name)
