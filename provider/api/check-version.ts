/** Whether a controller is one that this provider knows. Pure. */

import type { Diagnostic } from '../plugin/index.ts'

/**
 * Null: it is. Versions agree where what comes before the last change that breaks something is the same: `1` of 1.2.3,
 * `0.1` of 0.1.5. Within these an older controller may lack what the provider offers, and says so when it is asked.
 */
export function checkVersion(controller: string, provider: string): Diagnostic | null {
  const [theirs, ours] = [parseVersion(controller), parseVersion(provider)]
  if (theirs === null || ours === null) {
    return {
      severity: 'warning',
      summary: 'The version of the controller is not known',
      detail: `It says ${JSON.stringify(controller)}. This is version ${provider} of the provider.`,
    }
  }
  const difference = compare(lineOf(theirs), lineOf(ours))
  if (difference === 0) return null
  const isOld = difference < 0
  return {
    severity: 'error',
    summary: `The controller is too ${isOld ? 'old' : 'new'} for this provider`,
    detail: `The controller is version ${controller}, the provider ${provider}. ${
      isOld
        ? `Update the controller, or require version ${lineOf(theirs).join('.')} of the provider.`
        : `Require version ${lineOf(theirs).join('.')} of the provider, and run init with -upgrade.`
    }`,
    path: ['endpoint'],
  }
}

function parseVersion(text: string): readonly [number, number] | null {
  const [, major, minor] = /^(\d+)\.(\d+)\.\d+/.exec(text) ?? []
  return major === undefined || minor === undefined ? null : [Number(major), Number(minor)]
}

const lineOf = ([major, minor]: readonly [number, number]) => (major === 0 ? [major, minor] : [major])

function compare(one: readonly number[], other: readonly number[]): number {
  for (const [i, part] of one.entries()) {
    const difference = part - (other[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
