/** Reads what has been added to a daemon's log file since the last time. Reads only. */

import { closeSync, openSync, readSync, statSync } from 'node:fs'

export interface FilePosition {
  readonly inode: number
  readonly offsetBytes: number
}

export interface NewLines {
  /** Whole ones; one that is not finished yet waits. */
  readonly lines: readonly string[]
  readonly position: FilePosition
}

/** At a time: what is more waits for the next. */
const bytesMaximum = 65_536
/** One without an end is taken as it is. */
const lineBytesMaximum = 16_384

/** From the file's beginning where it is another than before, or has been cut off. Undefined: there is nothing new. */
export function readNewLines(path: string, before: FilePosition | undefined): NewLines | undefined {
  const state = statSync(path, { throwIfNoEntry: false })
  if (state === undefined) return undefined
  const isSame = before?.inode === state.ino && state.size >= before.offsetBytes
  const offsetBytes = isSame ? before.offsetBytes : 0
  if (state.size === offsetBytes) return undefined
  const bytes = readBytes(path, offsetBytes)
  const end = bytes.lastIndexOf(0x0a) + 1
  const wholeBytes = end === 0 && bytes.length >= lineBytesMaximum ? bytes.length : end
  if (wholeBytes === 0) return undefined
  const lines = bytes.subarray(0, wholeBytes).toString('utf8').split('\n').filter(Boolean)
  return { lines, position: { inode: state.ino, offsetBytes: offsetBytes + wholeBytes } }
}

function readBytes(path: string, offsetBytes: number): Buffer {
  const buffer = Buffer.alloc(bytesMaximum)
  const file = openSync(path, 'r')
  try {
    return buffer.subarray(0, readSync(file, buffer, 0, bytesMaximum, offsetBytes))
  } finally {
    closeSync(file)
  }
}
