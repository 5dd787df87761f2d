/** The faults that `gap` lets a VIP's holder suffer, and how each is undone. */

import {
  bootController,
  bootHostAgain,
  bothSegments,
  cutHost,
  healHost,
  killController,
  killHost,
  killHostAgent,
  openLab,
} from '../lab/lab.ts'
import { findDaemonProcesses, killAtOnce } from './system/processes.ts'
import type { System } from './system/system.ts'

export interface Holder {
  readonly host: string
  readonly instanceId: string
}

export interface Fault {
  readonly name: string
  /** Whether packets go through what fails; left out: nothing fails. */
  readonly isOnPath?: boolean
  inject(holder: Holder): Promise<void>
  /** Left out: nothing has to be undone. */
  heal?(holder: Holder): Promise<unknown>
}

/** What failed by itself is also put right by itself: then healing is only waiting. */
const byItself = async () => {}

export function describeFaults(system: System): readonly Fault[] {
  const lab = () => openLab(system.settings)
  return [
    { name: 'nothing is done', inject: byItself },
    {
      name: 'host is cut',
      isOnPath: true,
      inject: ({ host }) => cutHost(lab(), host, bothSegments),
      heal: ({ host }) => healHost(lab(), host, bothSegments),
    },
    {
      name: "host's plug is pulled",
      isOnPath: true,
      inject: ({ host }) => killHost(lab(), host),
      heal: ({ host }) => bootHostAgain(lab(), host),
    },
    { name: 'haproxy is killed', isOnPath: true, inject: killDaemon('haproxy'), heal: byItself },
    { name: 'keepalived is killed', isOnPath: true, inject: killDaemon('keepalived'), heal: byItself },
    {
      name: 'agent is killed',
      isOnPath: false,
      inject: ({ host }) => killHostAgent(lab(), host, { forGood: false }),
      heal: byItself,
    },
    {
      name: 'controller is killed',
      isOnPath: false,
      inject: () => killController(lab()),
      heal: () => bootController(lab()),
    },
  ]
}

/** Parent and child at the same moment, since either would start the other again. */
const killDaemon = (daemon: string) => async (holder: Holder) => {
  const pids = findDaemonProcesses(holder.instanceId, daemon)
  if (pids.length === 0) throw new Error(`${holder.instanceId} has no ${daemon} to be killed`)
  killAtOnce(pids)
}
