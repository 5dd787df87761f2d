/** `sluice load-balancer`, and the fields of a member. */

import { isIP } from 'node:net'
import { type LoadBalancer, loadBalancerSchema, type MemberCreate } from '../../controller/contract/load-balancer.ts'
import {
  type BodyField,
  number,
  type ParseContext,
  projectField,
  reference,
  text,
  trueOrFalse,
} from '../body-fields.ts'
import type { Noun } from '../noun.ts'
import { references, resolveId } from '../resolve.ts'
import { trafficFields } from './traffic-fields.ts'

/** `80`, or `80:8080` where members that name no port listen on another. */
export function listener(value: string, context: ParseContext): { port: number; memberPort?: number } {
  const [port = '', memberPort] = value.split(':')
  return {
    port: number(port, context),
    ...(memberPort === undefined ? {} : { memberPort: number(memberPort, context) }),
  }
}

export const memberForms = 'ADDRESS[:PORT], DNS.NAME[:PORT], URL, or MACHINE[:PORT]'

/** An address, a DNS name, or the name or id of a machine, each with or without a port; or a URL. */
export async function member(value: string, context: ParseContext): Promise<Omit<MemberCreate, 'weight'>> {
  if (value.includes('://')) return { url: value }
  const [place = '', port] = value.split(':')
  const withPort = port === undefined ? {} : { port: number(port, context) }
  if (isIP(place) === 4) return { address: place, ...withPort }
  // A machine's name is a single label.
  if (place.includes('.')) return { host: place, ...withPort }
  return { machineId: await resolveId(context.api, 'machine', place, context.projectId), ...withPort }
}

const shared: readonly BodyField[] = [
  {
    flags: '--listener <port[:member-port]>',
    description: 'where it listens',
    field: 'listeners',
    parse: listener,
    isList: true,
  },
  {
    flags: '--member <member>',
    description: memberForms,
    field: 'members',
    parse: member,
    isList: true,
  },
  ...trafficFields,
  { flags: '--instances <number>', description: '1 to 8, each with a VIP', field: 'instanceCount', parse: number },
  {
    flags: '--auto-scaling <true|false>',
    description: 'scale it by its load, true: as is sound for most',
    field: 'autoScaling',
    parse: trueOrFalse,
  },
  { flags: '--minimum <number>', description: 'of instances', field: 'autoScaling.minimum', parse: number },
  { flags: '--maximum <number>', description: 'of instances', field: 'autoScaling.maximum', parse: number },
  {
    flags: '--target-requests <number>',
    description: 'a second, of each instance',
    field: 'autoScaling.targets.requestsPerSecond',
    parse: number,
  },
  {
    flags: '--target-connections <number>',
    description: 'open at a time, of each instance',
    field: 'autoScaling.targets.connections',
    parse: number,
  },
  {
    flags: '--target-cpu <percent>',
    description: 'of the processors that an instance may use',
    field: 'autoScaling.targets.cpuPercent',
    parse: number,
  },
  {
    flags: '--target-latency <milliseconds>',
    description: 'until members answer',
    field: 'autoScaling.targets.latencyMilliseconds',
    parse: number,
  },
]

export const loadBalancerNoun: Noun<LoadBalancer> = {
  ...references['load-balancer'],
  aliases: ['lb'],
  description: 'HTTP and TCP load balancers',
  schema: loadBalancerSchema,
  columns: [
    { heading: 'name', of: ({ name }) => name },
    { heading: 'status', of: ({ status }) => status },
    { heading: 'type', of: ({ trafficType }) => trafficType },
    { heading: 'url', of: ({ url }) => url ?? '-' },
    { heading: 'vips', of: ({ vips }) => firstAndHowManyMore(vips) },
    { heading: 'members', of: ({ members }) => healthyOfAll(members) },
    { heading: 'id', of: ({ id }) => id },
  ],
  create: {
    fields: [
      projectField,
      {
        flags: '--network <name|id>',
        description: 'the network of its members',
        field: 'networkId',
        parse: reference('network'),
        isRequired: true,
      },
      { flags: '--driver <netns|vm>', description: 'namespaces, or virtual machines', field: 'driver', parse: text },
      { flags: '--type <http|tcp>', description: 'its traffic', field: 'trafficType', parse: text, isRequired: true },
      ...shared,
    ],
    complete: completeHealthCheck,
  },
  update: {
    fields: [{ flags: '--new-name <name>', description: 'its new name', field: 'name', parse: text }, ...shared],
  },
}

/** A health check that says nothing of its protocol checks the traffic that is balanced. */
function completeHealthCheck(body: Record<string, unknown>): Record<string, unknown> {
  const { healthCheck, trafficType } = body
  if (typeof healthCheck !== 'object' || healthCheck === null) return body
  return { ...body, healthCheck: { protocol: trafficType, ...healthCheck } }
}

const firstAndHowManyMore = ([first = '-', ...more]: readonly string[]) =>
  more.length === 0 ? first : `${first} +${more.length}`

export function healthyOfAll(members: readonly { readonly status: string }[]): string {
  return `${members.filter(({ status }) => status === 'healthy').length}/${members.length}`
}
