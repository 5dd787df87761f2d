/**
 * Addresses on the uplink: VIPs, which a load balancer owns, and the own address of each instance. They are reservations
 * of the rack, so two projects, or two controllers, never get the same one.
 */

import { findReservations, type Owner, releaseReservation, reserve } from '../access/reserve.ts'
import { addressOf, blockOf, formatAddress, sizeOf } from '../address-space/cidr.ts'
import { type Outcome, refuse, succeed } from '../contract/problem.ts'
import { reservationKind, systemClient } from '../objects.ts'
import type { ControllerContext } from '../services.ts'

export interface UplinkAddresses {
  /**
   * That many addresses for an owner. What the owner holds already and has not put to use (`inUse`) is given first, so
   * that a repetition takes nothing anew.
   */
  take(request: {
    readonly owner: Owner
    readonly count: number
    readonly inUse?: readonly string[]
  }): Promise<Outcome<readonly string[]>>
  heldBy(ownerId: string): readonly string[]
  /** All that the owner holds, or only those named. */
  giveBack(ownerId: string, addresses?: readonly string[]): Promise<void>
}

const word = 'uplink'
/** The first addresses of an uplink belong to routers and the like; a small uplink leaves out the gateway alone. */
const firstOffsetDefault = 10
const smallUplinkAddresses = 64

export function createUplinkAddresses(context: ControllerContext): UplinkAddresses {
  /** Being asked for at this moment, so that requests at once don't run for the same address. */
  const asked = new Set<string>()

  const reservedBy = (ownerId: string) =>
    findReservations(context, systemClient, ownerId).flatMap((reservation) =>
      reservation.value.words[0] === word ? [{ reservation, address: reservation.value.words[1] ?? '' }] : [],
    )

  async function takeOne(owner: Owner): Promise<Outcome<string>> {
    for (const address of listFreeUplinkAddresses(context.settings, listTaken())) {
      if (asked.has(address)) continue
      asked.add(address)
      try {
        const outcome = await reserve(context, { clientId: systemClient, words: [word, address] }, owner)
        if (outcome.outcome === 'taken') return succeed(address)
        if (outcome.outcome === 'unavailable') {
          const { reason, retryAfterSeconds } = outcome
          return refuse({
            code: 'unavailable',
            title: 'No address on the uplink can be taken now',
            detail: reason,
            remedy: `Ask again after ${retryAfterSeconds} s.`,
            retryAfterSeconds,
          })
        }
      } finally {
        asked.delete(address)
      }
    }
    return refuse({
      code: 'no-space',
      title: 'The uplink is full',
      detail: `Every address of the uplink ${context.settings.uplinkCidr} is taken.`,
      remedy: 'Delete load balancers, or give the controller a larger uplink block.',
    })
  }

  function listTaken(): ReadonlySet<string> {
    const taken = new Set<string>()
    for (const { value } of context.store.snapshot(reservationKind, systemClient)) {
      if (value.words[0] === word && value.words[1] !== undefined) taken.add(value.words[1])
    }
    return taken
  }

  return {
    heldBy: (ownerId) => reservedBy(ownerId).map(({ address }) => address),

    async take({ owner, count, inUse = [] }) {
      const spare = reservedBy(owner.id)
        .map(({ address }) => address)
        .filter((address) => !inUse.includes(address))
        .slice(0, count)
      const taken = await Promise.all(Array.from({ length: count - spare.length }, () => takeOne(owner)))
      const addresses = [...spare]
      for (const outcome of taken) {
        if (!outcome.ok) return outcome
        addresses.push(outcome.value)
      }
      return succeed(addresses)
    },

    async giveBack(ownerId, addresses) {
      const held = reservedBy(ownerId).filter(({ address }) => addresses?.includes(address) ?? true)
      await Promise.all(held.map(({ reservation }) => releaseReservation(context, reservation)))
    },
  }
}

/** Lowest first. */
export function* listFreeUplinkAddresses(
  settings: { readonly uplinkCidr: string; readonly uplinkGateway: string },
  taken: ReadonlySet<string>,
): Generator<string> {
  const block = blockOf(settings.uplinkCidr)
  const gateway = addressOf(settings.uplinkGateway)
  const firstOffset = sizeOf(block) < smallUplinkAddresses ? 1 : firstOffsetDefault
  for (let offset = firstOffset; offset < sizeOf(block) - 1; offset++) {
    const number = block.first + offset
    const address = formatAddress(number)
    if (number !== gateway && !taken.has(address)) yield address
  }
}
