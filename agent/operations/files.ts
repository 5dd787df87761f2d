/** Writes, renames and removes files. A file is replaced whole or not at all. */

import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { mkdir, open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { FileOperation } from './operation.ts'
import type { RunCommand } from './run-command.ts'

/** Gives the failure's words, or undefined. */
export function executeFileOperation(operation: FileOperation): string | undefined {
  try {
    switch (operation.kind) {
      case 'writeFile':
        writeWhole(operation)
        return undefined
      case 'renameFile':
        renameSync(operation.from, operation.to)
        return undefined
      case 'removeFile':
        rmSync(operation.path, { force: true })
        return undefined
      case 'removeFolder':
        rmSync(operation.path, { force: true, recursive: true })
        return undefined
      default:
        return operation satisfies never
    }
  } catch (error) {
    return String(error)
  }
}

/**
 * The same for one file that must outlive a power cut, but without holding up everything else: a busy disk can take a
 * second. Writes to one path may not overlap.
 */
export async function writeDurably({ path, content, mode = 0o640 }: WriteFile): Promise<string | undefined> {
  try {
    await mkdir(dirname(path), { recursive: true })
    const temporary = `${path}.new`
    await using file = await open(temporary, 'w', mode)
    await file.writeFile(content)
    await file.sync()
    await rename(temporary, path)
    await using folder = await open(dirname(path), 'r')
    await folder.sync()
    return undefined
  } catch (error) {
    return String(error)
  }
}

/**
 * Gives the room of a file's first bytes back, which read as zeros from then on. Who writes to the file notices nothing
 * and goes on where it was, so no line can fall between two files. Gives the failure's words, or undefined.
 */
export async function giveBackHead(run: RunCommand, path: string, bytes: number): Promise<string | undefined> {
  const result = await run(['fallocate', '--punch-hole', '--offset', '0', '--length', String(bytes), path])
  return result.exitCode === 0 ? undefined : result.stderr.trim()
}

export function ensureFolder(path: string): void {
  mkdirSync(path, { recursive: true })
}

type WriteFile = Extract<FileOperation, { kind: 'writeFile' }>

function writeWhole({ path, content, mode = 0o640, durable = false }: WriteFile) {
  mkdirSync(dirname(path), { recursive: true })
  const temporary = `${path}.new`
  const file = openSync(temporary, 'w', mode)
  try {
    writeFileSync(file, content)
    if (durable) fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(temporary, path)
  if (durable) syncFolder(dirname(path))
}

/** A rename is on the disk once its folder is. */
function syncFolder(path: string) {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
