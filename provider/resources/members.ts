/** Members as attributes. The API shows where a member's traffic goes; here is what it was given by. Pure. */

import { ipv4Schema } from '../../controller/contract/common.ts'
import type { ListenerCreate, Member, MemberCreate } from '../../controller/contract/load-balancer.ts'
import { between, integer, portNumber, string, validator } from '../plugin/index.ts'
import { admittedBy, anId } from './attributes.ts'

/** Exactly one of address, url and machine says where it is. */
export const memberFields = {
  address: string({
    optional: true,
    validators: [admittedBy(ipv4Schema, 'be an IPv4 address')],
    description: 'Its address. Give this, `url` or `machine_id`.',
  }),
  url: string({
    optional: true,
    validators: [
      validator('be a URL of scheme, address and port, as http://198.18.16.11:8080', (text: string) =>
        /^(http|tcp):\/\/\d+(\.\d+){3}(:\d+)?\/?$/.test(text),
      ),
    ],
    description: 'Scheme, address and port in one, as http://198.18.16.11:8080. Give this, `address` or `machine_id`.',
  }),
  machineId: string({
    optional: true,
    validators: [anId('mch')],
    description: 'A machine on the same network, whose address is followed. Give this, `address` or `url`.',
  }),
  port: integer({
    optional: true,
    validators: [portNumber()],
    description: "Where it listens; the listener's `member_port` or `port` when left out.",
  }),
  weight: integer({
    default: 1,
    validators: [between(0, 256)],
    description: 'Its share of the traffic beside the weights of the others; 0: none.',
  }),
} as const

export interface GivenMember {
  readonly address: string | null
  readonly url: string | null
  readonly machineId: string | null
  readonly port: number | null
  readonly weight: number
}

/**
 * What a member was given by.
 * @param before members of which one may be it: a port that is the listener's own was given or not, as it was there
 */
export function describeGiven(
  member: Member,
  listeners: readonly ListenerCreate[],
  before: readonly GivenMember[] = [],
): GivenMember {
  const { url, machineId, weight } = member
  const address = url === null && machineId === null ? member.address : null
  const isSame = (one: GivenMember) => one.address === address && one.url === url && one.machineId === machineId
  const known = before.find((one) => isSame(one) && one.port === member.port) ?? before.find(isSame)
  return { address, url, machineId, port: givenPort(member, listeners, known), weight }
}

function givenPort(member: Member, listeners: readonly ListenerCreate[], known: GivenMember | undefined) {
  const [only, ...others] = listeners
  const usual = others.length === 0 ? (only?.memberPort ?? only?.port ?? null) : null
  const isOfUrl = member.url !== null && /:\d+\/?$/.test(member.url)
  const isPossiblyLeftOut = isOfUrl || member.port === usual || member.port === null
  if (known !== undefined && known.port === member.port) return known.port
  return isPossiblyLeftOut ? null : member.port
}

export function memberBody({ address, url, machineId, port, weight }: GivenMember): MemberCreate {
  return {
    ...(address !== null && { address }),
    ...(url !== null && { url }),
    ...(machineId !== null && { machineId }),
    ...(port !== null && { port }),
    weight,
  }
}
