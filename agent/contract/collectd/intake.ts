/**
 * What a host or a controller does with whatever a collectd sends: opens packets, reads them, admits points, and counts all
 * that came and all that was refused. Pure but for what admission remembers; sockets are for others.
 */

import type { Point } from '../points.ts'
import type { Admission, Explosion, Sender } from './admit-points.ts'
import type { ValueList } from './packet-parts.ts'
import { parsePacket } from './parse-packet.ts'
import { openPacket, type Protection } from './protect-packet.ts'

export interface IntakeCounts {
  readonly packets: number
  readonly bytes: number
  readonly points: number
  /** Of points, and of packets that never came to points, by reason. */
  readonly drops: Readonly<Record<string, number>>
}

export interface Intake {
  /** One packet of the network plugin, as it came. */
  takePacket(packet: Uint8Array): void
  /** Of a request. How many were taken. */
  takeLists(lists: readonly ValueList[], sender: Sender): number
  /** Something came that was none of these. */
  drop(reason: string): void
  counts(): IntakeCounts
  seriesCount(): number
  takeExplosions(): readonly Explosion[]
}

export interface IntakeOptions {
  readonly admission: Admission
  readonly passwordOf: (user: string) => string | undefined
  /** The least that packets must be protected by. */
  readonly least: Protection
  /** On whose behalf a packet is; undefined: nobody's, and it is refused. `user` is missing where it is not protected. */
  readonly senderOf: (user: string | undefined) => Sender | undefined
  readonly onPoints: (points: readonly Point[]) => void
}

export function createIntake({ admission, passwordOf, least, senderOf, onPoints }: IntakeOptions): Intake {
  const packetDrops = new Map<string, number>()
  let packets = 0
  let bytes = 0
  let points = 0

  const drop = (reason: string) => {
    packetDrops.set(reason, (packetDrops.get(reason) ?? 0) + 1)
  }
  const takeLists = (lists: readonly ValueList[], sender: Sender) => {
    const taken = admission.admit(lists, sender)
    points += taken.length
    if (taken.length > 0) onPoints(taken)
    return taken.length
  }

  return {
    takePacket(packet) {
      packets += 1
      bytes += packet.byteLength
      const opened = openPacket(packet, { passwordOf, least })
      if (opened.kind === 'refused') {
        drop(opened.reason)
        return
      }
      const contents = parsePacket(opened.payload)
      const sender = senderOf(opened.user)
      if (contents === undefined) drop('malformed')
      else if (sender === undefined) drop('unknownUser')
      else takeLists(contents.lists, sender)
    },
    takeLists,
    drop,
    counts: () => ({ packets, bytes, points, drops: Object.fromEntries([...packetDrops, ...admission.drops()]) }),
    seriesCount: admission.seriesCount,
    takeExplosions: admission.takeExplosions,
  }
}
