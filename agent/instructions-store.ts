/** The last instructions on disk, with which an agent starts when nobody can be asked. Writing goes through operations/. */

import { readFileSync } from 'node:fs'
import * as v from 'valibot'
import { type HostInstructions, hostInstructionsSchema } from './contract/host-instructions.ts'
import type { Operation } from './operations/operation.ts'

const instructionsPath = (stateFolder: string) => `${stateFolder}/instructions.json`

export function saveInstructionsOperation(
  stateFolder: string,
  instructions: HostInstructions,
): Extract<Operation, { kind: 'writeFile' }> {
  return {
    kind: 'writeFile',
    path: instructionsPath(stateFolder),
    content: JSON.stringify(instructions),
    mode: 0o600,
    durable: true,
  }
}

/** Saves one statement after the other; of those that come while one is being saved, the last counts. */
export function createInstructionsSaver(
  save: (instructions: HostInstructions) => Promise<void>,
): (instructions: HostInstructions) => void {
  let next: HostInstructions | undefined
  let isSaving = false
  const saveAll = async () => {
    isSaving = true
    while (next !== undefined) {
      const instructions = next
      next = undefined
      await save(instructions)
    }
    isSaving = false
  }
  return (instructions) => {
    next = instructions
    if (!isSaving) void saveAll()
  }
}

/** What was kept, `absent`, or the words of what is wrong with it: a bad file must not stop the agent. */
export type KeptInstructions =
  | { readonly kind: 'kept'; readonly instructions: HostInstructions }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unreadable'; readonly reason: string }

export function readInstructions(stateFolder: string): KeptInstructions {
  return readInstructionsFile(instructionsPath(stateFolder))
}

export function readInstructionsFile(path: string): KeptInstructions {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return { kind: 'absent' }
  }
  const parsed = parseInstructions(text)
  return typeof parsed === 'string'
    ? { kind: 'unreadable', reason: `${path}: ${parsed}` }
    : { kind: 'kept', instructions: parsed }
}

/** The statement, or the words of what is wrong with it. */
export function parseInstructions(text: string): HostInstructions | string {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    return `not JSON: ${String(error)}`
  }
  const parsed = v.safeParse(hostInstructionsSchema, json)
  return parsed.success ? parsed.output : v.summarize(parsed.issues)
}
