/** Members as attributes. The API shows where a member's traffic goes; here is what it was given by. Pure. */

import * as v from 'valibot'
import { ipv4Schema } from '../../controller/contract/common.ts'
import type { ListenerCreate, Member, MemberCreate } from '../../controller/contract/load-balancer.ts'
import { hostNameSchema } from '../../controller/contract/traffic.ts'
import { between, bool, integer, portNumber, string, validator } from '../plugin/index.ts'
import { admittedBy, anId } from './attributes.ts'

/** Exactly one of these says where it is. */
export const memberTargets = ['address', 'host', 'url', 'machineId'] as const

export const memberFields = {
  address: string({
    optional: true,
    validators: [admittedBy(ipv4Schema, 'be an IPv4 address')],
    description: 'Its address. Give this, `host`, `url` or `machine_id`.',
  }),
  host: string({
    optional: true,
    validators: [
      validator('be a whole DNS name in lower case, as web-1.shop.internal', (text: string) => {
        const parsed = v.safeParse(hostNameSchema, text)
        return parsed.success && parsed.output === text
      }),
    ],
    description: 'A DNS name that is looked up again and again. Give this, `address`, `url` or `machine_id`.',
  }),
  url: string({
    optional: true,
    validators: [
      validator('be a URL of scheme, address or name, and port, as http://198.18.16.11:8080', (text: string) =>
        /^(http|tcp):\/\/[A-Za-z0-9.-]+(:\d+)?\/?$/.test(text),
      ),
    ],
    description:
      'Scheme, address or name, and port in one, as http://198.18.16.11:8080. Give this, `address`, `host` or `machine_id`.',
  }),
  machineId: string({
    optional: true,
    validators: [anId('mch')],
    description: 'A machine on the same network, whose address is followed. Give this, `address`, `host` or `url`.',
  }),
  port: integer({
    optional: true,
    validators: [portNumber()],
    description: "Where it listens; the listener's `member_port` or `port` when left out.",
  }),
  weight: integer({
    default: 1,
    validators: [between(0, 256)],
    description:
      'Its share of the traffic beside the weights of the others; 0: nobody new, and who is bound to it stays.',
  }),
  draining: bool({
    default: false,
    description: 'Nobody at all: what it has begun may take `timeouts.drain_seconds`.',
  }),
} as const

export interface GivenMember {
  readonly address: string | null
  readonly host: string | null
  readonly url: string | null
  readonly machineId: string | null
  readonly port: number | null
  readonly weight: number
  readonly draining: boolean
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
  const { url, machineId, weight, draining } = member
  const host = url === null ? member.host : null
  const address = url === null && machineId === null && host === null ? member.address : null
  const given = { address, host, url, machineId }
  const isSame = (one: GivenMember) => memberTargets.every((target) => one[target] === given[target])
  const known = before.find((one) => isSame(one) && one.port === member.port) ?? before.find(isSame)
  return { ...given, port: givenPort(member, listeners, known), weight, draining }
}

function givenPort(member: Member, listeners: readonly ListenerCreate[], known: GivenMember | undefined) {
  const [only, ...others] = listeners
  const usual = others.length === 0 ? (only?.memberPort ?? only?.port ?? null) : null
  const isOfUrl = member.url !== null && /:\d+\/?$/.test(member.url)
  const isPossiblyLeftOut = isOfUrl || member.port === usual || member.port === null
  if (known !== undefined && known.port === member.port) return known.port
  return isPossiblyLeftOut ? null : member.port
}

export function memberBody({ address, host, url, machineId, port, weight, draining }: GivenMember): MemberCreate {
  return {
    ...(address !== null && { address }),
    ...(host !== null && { host }),
    ...(url !== null && { url }),
    ...(machineId !== null && { machineId }),
    ...(port !== null && { port }),
    weight,
    // Said also where it does not drain: what a list leaves out stays as somebody has told the member.
    draining,
  }
}
