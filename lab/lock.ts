/** One lab command that changes something at a time. */

import { createServer } from 'node:net'
import { lockAddress } from './settings.ts'

/** A lab of many hosts on a busy machine takes its time to start. */
const lockTimeoutSeconds = 120
const lockPollMilliseconds = 50

/**
 * Runs `work` while nobody else changes this lab. The lock is a listening abstract socket: the kernel takes it back when
 * its holder dies, however that happens.
 */
export async function withLabLock<Result>(
  labName: string,
  work: () => Promise<Result>,
  onWait: () => void = () => {},
): Promise<Result> {
  const deadline = performance.now() + lockTimeoutSeconds * 1000
  let release = await tryLock(labName)
  if (release === undefined) onWait()
  while (release === undefined) {
    if (performance.now() >= deadline) {
      throw new Error(`another command has been changing lab "${labName}" for ${lockTimeoutSeconds} s; see \`ps ax\``)
    }
    await Bun.sleep(lockPollMilliseconds)
    release = await tryLock(labName)
  }
  try {
    return await work()
  } finally {
    await release()
  }
}

function tryLock(labName: string): Promise<(() => Promise<void>) | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined)
      else reject(error)
    })
    server.listen(lockAddress(labName), () => {
      resolve(() => new Promise((done) => server.close(() => done())))
    })
  })
}
