/**
 * The kernel's room: joins its observation with its plans, and those for what has to go. It also tells which daemons are
 * where they should be, since only the kernel knows which namespace a name means now.
 */

import { readdirSync } from 'node:fs'
import { removeBridgeRulesText, renderBridgeRules } from '../../templates/bridge-rules.ts'
import { type HostInstructions, idPattern } from '../contract/host-instructions.ts'
import type { ObservedDaemon, OperationGroup } from '../operations/operation.ts'
import { ruleSetObjectId } from '../report.ts'
import { createRoom, objectsFolder, type Room, type Turn } from '../room.ts'
import { type DesiredObject, type HostDevices, makeDesiredKernel } from './desired-kernel.ts'
import { linkName } from './names.ts'
import type { KernelObserver } from './observe-kernel.ts'
import type { ObservedKernel, ObservedRuleSet } from './observed-kernel.ts'
import { planKernel } from './plan-kernel.ts'
import { planRemoval } from './plan-removal.ts'

export interface KernelRoomOptions {
  readonly observer: KernelObserver
  readonly devices: HostDevices
  readonly runFolder: string
}

interface Observed {
  readonly kernel: ObservedKernel
  readonly folders: ReadonlyMap<string, string>
}

export function createKernelRoom({ observer, devices, runFolder }: KernelRoomOptions): Room {
  const remembered = rememberLast((instructions: HostInstructions) => {
    const objects = makeDesiredKernel(instructions, devices)
    return { objects, sysctlNames: sysctlNames(objects) }
  })
  let sound: { kernel: ObservedKernel; desired: HostInstructions } | undefined
  return createRoom<Observed>({
    name: 'kernel',
    observe: async ({ desired }) => ({
      kernel: await observer.observe(remembered(desired).sysctlNames),
      folders: observeFolders(runFolder),
    }),
    plan: (turn, observed) => {
      const { kernel } = observed
      const isSame = sound?.kernel === kernel && sound.desired === turn.desired
      // A host at rest costs next to nothing: what was sound and has not changed is not compared again.
      if (isSame && turn.strayDaemons.length === 0) return planFolders(turn.desired, observed.folders)
      const groups = planHost(turn, remembered(turn.desired).objects, observed)
      sound = groups.length === 0 ? { kernel, desired: turn.desired } : undefined
      return groups
    },
  })
}

export function planHost(
  { desired, strayDaemons }: Pick<Turn, 'desired' | 'strayDaemons'>,
  objects: readonly DesiredObject[],
  { kernel, folders }: Observed,
): OperationGroup[] {
  const desiredLinks = new Set(
    objects.flatMap(({ links }) => links.filter(({ kind }) => kind !== 'macvlan').map(({ device }) => device)),
  )
  return [
    ...planRemoval({ desiredIds: new Set(ownerIds(desired)), desiredLinks, strayDaemons }, kernel),
    ...planFolders(desired, folders),
    ...planBridgeRules(desired, kernel.ruleSet),
    ...planKernel(objects, kernel),
  ]
}

/** Folders of objects that are no more; in an object's group they come after its daemons have ended. */
function planFolders(desired: HostInstructions, folders: ReadonlyMap<string, string>): OperationGroup[] {
  const owners = new Set(ownerIds(desired))
  return [...folders]
    .filter(([id]) => !owners.has(id))
    .map(([objectId, path]) => ({ objectId, operations: [{ kind: 'removeFolder', path }] }))
}

/** The ids that own a namespace: projects, machines and instances. */
export function ownerIds({ networks, machines, instances }: HostInstructions): string[] {
  return [
    ...networks.map(({ projectId }) => projectId),
    ...machines.map(({ id }) => id),
    ...instances.map(({ id }) => id),
  ]
}

/** Right is a daemon whose object is desired and whose namespace is the one that its object's name means today. */
export function sortDaemons(
  daemons: readonly ObservedDaemon[],
  desired: HostInstructions,
  namespaceInodes: ReadonlyMap<string, number>,
): Pick<Turn, 'daemons' | 'strayDaemons'> {
  const owners = new Set(ownerIds(desired))
  const isRight = ({ objectId, namespaceInode }: ObservedDaemon) =>
    owners.has(objectId) && (namespaceInode === 0 || namespaceInodes.get(objectId) === namespaceInode)
  return {
    daemons: daemons.filter(isRight),
    strayDaemons: daemons.filter((daemon) => !isRight(daemon)),
  }
}

export function planBridgeRules(desired: HostInstructions, observed: ObservedRuleSet | undefined): OperationGroup[] {
  const replace = (ruleSet: string): OperationGroup[] => [
    { objectId: ruleSetObjectId, operations: [{ kind: 'replaceRuleSet', ruleSet }] },
  ]
  if (desired.networks.length === 0) return observed === undefined ? [] : replace(removeBridgeRulesText)
  const rendered = renderBridgeRules({
    networks: desired.networks.map(({ id, shards }) => ({
      vxlanDevice: linkName('vxlan', id),
      gateways: shards.map(({ gateway }) => gateway),
    })),
  })
  const isSame =
    observed?.digest === rendered.digest &&
    observed.rules === rendered.rules &&
    observed.elements.join() === rendered.elements.join()
  return isSame ? [] : replace(rendered.text)
}

function sysctlNames(objects: readonly DesiredObject[]): Map<string, string[]> {
  const names = new Map<string, string[]>()
  const add = (namespace: string, sysctls: Readonly<Record<string, string>>) => {
    names.set(namespace, [...(names.get(namespace) ?? []), ...Object.keys(sysctls)])
  }
  for (const { namespace, devices } of objects) {
    if (namespace) add(namespace.name, namespace.sysctls)
    for (const device of devices) add(device.namespace, device.sysctls)
  }
  return names
}

function observeFolders(runFolder: string): Map<string, string> {
  const folder = objectsFolder(runFolder)
  try {
    return new Map(
      readdirSync(folder)
        .filter((name) => idPattern.test(name))
        .map((name) => [name, `${folder}/${name}`]),
    )
  } catch {
    // Nothing has been written yet.
    return new Map()
  }
}

/** Instructions seldom change, turns are many. */
function rememberLast<Key extends object, Value>(make: (key: Key) => Value): (key: Key) => Value {
  let last: { key: Key; value: Value } | undefined
  return (key) => {
    if (last?.key !== key) last = { key, value: make(key) }
    return last.value
  }
}
