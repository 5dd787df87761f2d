/** Reads and writes the bus's files: whole, and on the disk before they count, so that a power cut leaves the old or the new. */

import { open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Keys and credentials: nobody but the controller's user may read them. */
export const secretMode = 0o600

/** Replaces a file. Its folder must be there. */
export async function writeDurableFile(path: string, content: string, mode: number): Promise<void> {
  const temporary = `${path}.new`
  const file = await open(temporary, 'w', mode)
  try {
    // An old temporary file keeps the mode that it was made with.
    await file.chmod(mode)
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  // A rename is on the disk once its folder is.
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Null: there is no such file. */
export async function readFileOrNull(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return null
    throw cause
  }
}
