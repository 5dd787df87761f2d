/**
 * The keys that states are encrypted with: a file of lines `version base64`, made at the first start and written by
 * people afterwards. A new line with a higher version seals from the next start on; older ones open what they sealed.
 * Reads and makes that one file.
 */

import { link, mkdir, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { readFileOrNull, secretMode, writeDurableFile } from '../../nats/durable-file.ts'
import type { StateKeys } from './seal-state.ts'

const keyBytes = 32

export async function readStateKeys(file: string, random: (bytes: number) => Uint8Array): Promise<StateKeys> {
  const kept = await readFileOrNull(file)
  if (kept !== null && kept.trim() !== '') return parseStateKeys(kept, file)
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const made = `${file}.${process.pid}`
  await writeDurableFile(made, `1 ${Buffer.from(random(keyBytes)).toString('base64')}\n`, secretMode)
  // Of several controllers that start at once in one folder, the keys of the first are everybody's.
  await link(made, file).catch((cause: unknown) => {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'EEXIST')) throw cause
  })
  await unlink(made)
  return parseStateKeys((await readFileOrNull(file)) ?? '', file)
}

/** Throws an error that names the line that is wrong, and never what is in it. */
export function parseStateKeys(text: string, file: string): StateKeys {
  const keys = new Map<number, Uint8Array>()
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const [, version, key = ''] = /^([1-9]\d{0,8}) +([A-Za-z0-9+/]+=*)\s*$/.exec(line) ?? []
    const bytes = Buffer.from(key, 'base64')
    if (version === undefined || bytes.length !== keyBytes) {
      throw new Error(`line ${index + 1} of ${file} must be a version and 32 bytes as base64: \`1 hZ…=\``)
    }
    if (keys.has(Number(version))) throw new Error(`line ${index + 1} of ${file} has version ${version} a second time`)
    keys.set(Number(version), bytes)
  }
  if (keys.size === 0) throw new Error(`${file} holds no key; remove it to have one made, or put back the one you had`)
  return { current: Math.max(...keys.keys()), keys }
}
