/** Starts a store in a process of its own, and tells what that took. */

import * as v from 'valibot'

const observedSchema = v.object({
  startSeconds: v.number(),
  lookUpMicroseconds: v.number(),
  controllerBytes: v.number(),
  serverBytes: v.number(),
  directoryBytes: v.number(),
})
export type Observed = v.InferOutput<typeof observedSchema>

export async function observeInProcess(server: { readonly url: string; readonly pid: number }): Promise<Observed> {
  const program = new URL('store-process.ts', import.meta.url).pathname
  const child = Bun.spawn([process.execPath, program, server.url, String(server.pid)], {
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const text = await new Response(child.stdout).text()
  if ((await child.exited) !== 0) throw new Error(`${program} failed`)
  return v.parse(observedSchema, JSON.parse(text))
}
