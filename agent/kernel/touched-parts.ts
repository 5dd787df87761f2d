/** Which parts of the kernel a plan has changed, so that they are read again before the next plan. Pure. */

import { compileKernelOperation } from '../operations/kernel-commands.ts'
import { isKernelOperation, type Operation, type OperationGroup } from '../operations/operation.ts'
import type { KernelPart } from './observe-kernel.ts'

export function touchedParts(groups: readonly OperationGroup[]): KernelPart[] {
  const parts = groups.flatMap(({ operations }) => operations.flatMap(partsOf))
  const namespaces = new Set(parts.flatMap((part) => (typeof part === 'string' ? [] : [part.namespace])))
  const own = new Set(parts.filter((part) => typeof part === 'string'))
  return [...own, ...[...namespaces].map((namespace) => ({ namespace }))]
}

function partsOf(operation: Operation): KernelPart[] {
  if (operation.kind === 'replaceRuleSet') return ['ruleSet']
  if (!isKernelOperation(operation)) return []
  if (operation.kind === 'addNamespace' || operation.kind === 'deleteNamespace') return ['names', 'links']
  // A cable ends in a namespace, so its making changes both.
  if (operation.kind === 'addVeth') return ['links', 'forwarding', { namespace: operation.peer.namespace }]
  if (operation.kind === 'addMacvlan' || operation.kind === 'setSysctls') return [{ namespace: operation.namespace }]
  const { channel } = compileKernelOperation(operation)
  if (channel === 'bridge') return ['forwarding']
  if (channel === 'ip') return ['links', 'forwarding']
  return [{ namespace: channel.slice('ip -n '.length) }]
}
