/**
 * One controller to a state folder: a file in the bus's folder names the process that has it. It guards against a second
 * controller that would end the first one's nats-server; the store itself is guarded by nats-server's own lock.
 */

import { join } from 'node:path'
import * as v from 'valibot'
import { readFileOrNull, secretMode, writeDurableFile } from './durable-file.ts'
import { readStartTicks } from './server-process.ts'

const ownerSchema = v.object({ pid: v.number(), startTicks: v.number() })

/** Throws while another living controller has the folder. */
export async function takeFolder(folder: string): Promise<void> {
  const path = join(folder, 'controller.json')
  const owner = parseOwner(await readFileOrNull(path))
  const isAlive = owner !== null && readStartTicks(owner.pid) === owner.startTicks
  if (isAlive && owner.pid !== process.pid) {
    throw new Error(`${folder} is in use by the controller with process id ${owner.pid}: end that one first`)
  }
  const own = { pid: process.pid, startTicks: readStartTicks(process.pid) }
  await writeDurableFile(path, `${JSON.stringify(own)}\n`, secretMode)
}

function parseOwner(text: string | null): v.InferOutput<typeof ownerSchema> | null {
  try {
    return v.parse(ownerSchema, JSON.parse(text ?? 'null'))
  } catch {
    return null
  }
}
