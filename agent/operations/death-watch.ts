/**
 * Tells when a process ends, whoever started it: the kernel keeps a pidfd for each in one epoll set, and one system call
 * asks for all of them, however many there are. A zombie counts as ended. Starts and signals nothing.
 */

import { dlopen, ptr } from 'bun:ffi'

export interface DeathWatch {
  /** False where there is no such process any more. */
  watch(pid: number, onDeath: () => void): boolean
  release(pid: number): void
  /** Calls back for those that have ended since the last time. */
  poll(): void
  close(): void
}

/** The same on every architecture that Linux has pidfd_open for. */
const pidfdOpenNumber = 434
const closeOnExecFlag = 0o2000000
const addOperation = 1
const readableEvent = 1
/** The kernel packs its epoll_event on x86-64 only. */
const eventBytes = process.arch === 'x64' ? 12 : 16
const dataOffsetBytes = process.arch === 'x64' ? 4 : 8
const eventsMaximum = 64

export function createDeathWatch(): DeathWatch {
  const { symbols: libc } = dlopen('libc.so.6', {
    syscall: { args: ['i64', 'i64', 'i64'], returns: 'i64' },
    epoll_create1: { args: ['i32'], returns: 'i32' },
    epoll_ctl: { args: ['i32', 'i32', 'i32', 'ptr'], returns: 'i32' },
    epoll_wait: { args: ['i32', 'ptr', 'i32', 'i32'], returns: 'i32' },
    close: { args: ['i32'], returns: 'i32' },
  })
  const epoll = libc.epoll_create1(closeOnExecFlag)
  const events = new Uint8Array(eventBytes * eventsMaximum)
  const view = new DataView(events.buffer)
  const descriptorsByPid = new Map<number, number>()
  const watched = new Map<number, { readonly pid: number; readonly onDeath: () => void }>()

  const release = (pid: number) => {
    const descriptor = descriptorsByPid.get(pid)
    if (descriptor === undefined) return
    // Closing it takes it out of the set as well.
    libc.close(descriptor)
    descriptorsByPid.delete(pid)
    watched.delete(descriptor)
  }

  return {
    watch(pid, onDeath) {
      release(pid)
      const descriptor = Number(libc.syscall(pidfdOpenNumber, pid, 0))
      if (descriptor < 0) return false
      const event = new Uint8Array(eventBytes)
      const fields = new DataView(event.buffer)
      fields.setUint32(0, readableEvent, true)
      fields.setUint32(dataOffsetBytes, descriptor, true)
      libc.epoll_ctl(epoll, addOperation, descriptor, ptr(event))
      descriptorsByPid.set(pid, descriptor)
      watched.set(descriptor, { pid, onDeath })
      return true
    },
    release,
    poll() {
      const count = libc.epoll_wait(epoll, ptr(events), eventsMaximum, 0)
      const ended = Array.from({ length: Math.max(0, count) }, (_, index) =>
        watched.get(view.getUint32(index * eventBytes + dataOffsetBytes, true)),
      )
      for (const each of ended) if (each) release(each.pid)
      for (const each of ended) each?.onDeath()
    },
    close() {
      for (const pid of [...descriptorsByPid.keys()]) release(pid)
      libc.close(epoll)
    },
  }
}
