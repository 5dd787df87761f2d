/** `sluice_load_balancer`: listeners, members and instances that serve a network's machines on the uplink. */

import * as v from 'valibot'
import { type LoadBalancer, loadBalancerSchema } from '../../controller/contract/load-balancer.ts'
import { instanceCountMaximum } from '../../controller/contract/scaling.ts'
import { createObject, deleteObject, readObject, refreshObject, updateObject } from '../api/client.ts'
import {
  between,
  bool,
  type Changes,
  defineSchema,
  errorDiagnostic,
  exactlyOneOf,
  integer,
  isUnknown,
  list,
  object,
  type Planned,
  portNumber,
  type State,
  sizeBetween,
  string,
  unknown,
} from '../plugin/index.ts'
import { aName, anId, createdAt, hostTimeouts, id, momentaryFields, projectId } from './attributes.ts'
import { autoScalingAttribute, autoScalingBody } from './auto-scaling.ts'
import { awaitCreated, isAwaited, noteAwaited } from './awaited.ts'
import { createNounDataSources } from './data-sources.ts'
import { defineResource, keepPlanned, pick, refuseImport, withoutNull } from './define.ts'
import {
  describeHealthCheck,
  findHealthCheckFaults,
  healthCheckAttribute,
  healthCheckBody,
  planHealthCheck,
} from './health-check.ts'
import { describeGiven, type GivenMember, memberBody, memberFields, memberTargets } from './members.ts'
import { describeStickySessions, planStickySessions, stickySessionsBody, trafficFields } from './traffic.ts'

const path = '/v1/load-balancers'
const ownSchema = v.object({ ...loadBalancerSchema.entries, projectId: v.string() })
type OwnBalancer = v.InferOutput<typeof ownSchema>

const instance = object({
  id: string({ computed: true, description: 'Its id.' }),
  slot: integer({ computed: true, description: 'Its slot, 1 and up: each has a VIP.' }),
  host: string({ computed: true, nullable: true, description: 'The host that it runs on.' }),
  driver: string({ computed: true, description: 'How it is run.' }),
  uplinkAddress: string({
    computed: true,
    nullable: true,
    description: 'Its own address on the uplink, besides VIPs.',
  }),
  networkAddress: string({ computed: true, nullable: true, description: 'Its address on the network.' }),
})

const attributes = {
  id: id('load balancer'),
  name: string({ required: true, validators: [aName()], description: 'Free text, unique within the project.' }),
  projectId: projectId(),
  networkId: string({
    required: true,
    requiresReplace: true,
    validators: [anId('net')],
    description:
      'The network of its members, which must have a shard attached: refer to the attachment where that is made in the same apply.',
  }),
  trafficType: string({
    required: true,
    oneOf: ['http', 'tcp'],
    requiresReplace: true,
    description: '`http` balances requests, `tcp` connections.',
  }),
  listeners: list(
    object({
      port: integer({
        required: true,
        validators: [portNumber()],
        description: 'Where clients connect, on every VIP.',
      }),
      memberPort: integer({
        optional: true,
        validators: [portNumber()],
        description: 'Where members listen that name no port of their own; this port when left out.',
      }),
    }),
    {
      required: true,
      validators: [sizeBetween(1, 32)],
      description: 'Where it listens, up to 32 ports. They change without a lost request.',
    },
  ),
  members: list(object(memberFields, { rules: [exactlyOneOf(...memberTargets)] }), {
    optional: true,
    computed: true,
    useStateForUnknown: true,
    validators: [sizeBetween(1, 256)],
    description:
      'Where traffic goes, up to 256. They change without a reload. Left out: they are managed by others, as `sluice_load_balancer_member`, and left as they are.',
  }),
  healthCheck: healthCheckAttribute,
  ...trafficFields,
  forwardedFor: bool({
    optional: true,
    computed: true,
    description: 'With http: whether members are told the client in X-Forwarded-For; true when left out.',
  }),
  driver: string({
    default: 'netns',
    oneOf: ['netns', 'vm'],
    requiresReplace: true,
    description: 'What its instances are: `netns`, namespaces of their hosts; `vm`, virtual machines of libvirt.',
  }),
  instanceCount: integer({
    optional: true,
    computed: true,
    validators: [between(1, instanceCountMaximum)],
    description: 'How many instances serve, each with a VIP; 2 when left out. With auto-scaling: what it begins with.',
  }),
  autoScaling: autoScalingAttribute,
  url: string({
    computed: true,
    nullable: true,
    useStateForUnknown: true,
    description: 'Where clients reach it.',
  }),
  vips: list(string(), {
    computed: true,
    useStateForUnknown: true,
    description: 'Its addresses on the uplink, one a slot, each backed up by the other instances.',
  }),
  instances: list(instance, {
    computed: true,
    useStateForUnknown: true,
    description: 'What serves it.',
  }),
  createdAt: createdAt(),
}

const schema = defineSchema({
  description:
    'A load balancer: instances of haproxy and keepalived on several hosts that serve VIPs on the uplink. Everything but its project, network and traffic type changes in place.',
  attributes,
  blocks: { operationTimeouts: hostTimeouts() },
})

type PlannedBalancer = Planned<typeof schema>

export const loadBalancerResource = defineResource({
  name: 'load_balancer',
  schema,
  async create({ desired }, context) {
    const { name, projectId, networkId, trafficType, driver, members } = desired
    const body = { name, projectId, networkId, trafficType, driver, ...changeableBody(desired) }
    const made = await createObject({ path, body, schema: ownSchema }, context)
    context.keep(describe(made, members))
    return describe(await awaitCreated(`${path}/${made.id}`, ownSchema, context), members)
  },
  async read({ state }, context) {
    const view = await refreshObject({ path, id: state.id, among: { projectId: state.projectId } }, ownSchema, context)
    if (view?.status === 'active') noteAwaited(context.privateState)
    return view === null ? null : describe(view, state.members)
  },
  async update({ prior, desired, changes }, context) {
    const view = await updateObject(`${path}/${prior.id}`, changeableBody(changes), ownSchema, context)
    noteAwaited(context.privateState)
    return keepPlanned(schema, desired, describe(view, desired.members))
  },
  delete: ({ state }, context) => deleteObject(`${path}/${state.id}`, v.unknown(), context),
  async importState({ id: given }, context) {
    if (!given.startsWith('lb_')) throw refuseImport(given, 'the id of a load balancer: lb_…')
    const view = await readObject(`${path}/${given}`, ownSchema, context)
    return view === null ? null : describe(view, [])
  },
  modifyPlan({ prior, planned, config }, { privateState }) {
    if (planned === null || config === null) return undefined
    return {
      planned: {
        ...planWhatFollows(prior, planned, config),
        ...(prior !== null && isAwaited(privateState) && { instances: unknown }),
      },
    }
  },
  validate: ({ config }) => [
    ...(isObject(config.healthCheck) ? findHealthCheckFaults(config.healthCheck) : []),
    ...(config.trafficType === 'tcp' && config.forwardedFor === true
      ? [
          errorDiagnostic('tcp has no headers', {
            detail: 'forwarded_for is for http alone: leave it out.',
            path: ['forwardedFor'],
          }),
        ]
      : []),
    ...findPortsTwice(config.listeners),
  ],
})

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null

function findPortsTwice(listeners: unknown) {
  const ports = Array.isArray(listeners) ? listeners.map((listener) => isObject(listener) && listener.port) : []
  return ports.flatMap((port, i) =>
    typeof port === 'number' && ports.indexOf(port) < i
      ? [
          errorDiagnostic('Two listeners have one port', {
            detail: `${port} is the port of another listener already.`,
            path: ['listeners', i, 'port'],
          }),
        ]
      : [],
  )
}

/** What is decided by what else is wanted, so that the plan says it. */
function planWhatFollows(
  prior: Pick<State<typeof schema>, 'name' | 'instanceCount' | 'autoScaling' | 'listeners'> | null,
  planned: PlannedBalancer,
  config: PlannedBalancer,
): Partial<PlannedBalancer> {
  const { trafficType, autoScaling } = planned
  const healthCheck = isUnknown(config.healthCheck) ? unknown : planHealthCheck(config.healthCheck, trafficType)
  const forwardedFor = config.forwardedFor ?? (isUnknown(trafficType) ? unknown : trafficType === 'http')
  const usualCount = autoScaling === null ? 2 : (prior?.instanceCount ?? unknown)
  const instanceCount = config.instanceCount ?? (isUnknown(autoScaling) ? unknown : usualCount)
  const isScaled =
    prior !== null && (instanceCount !== prior.instanceCount || !Bun.deepEquals(planned.autoScaling, prior.autoScaling))
  // Its name is in the URL where names are kept.
  const isMoved = prior !== null && (planned.name !== prior.name || !Bun.deepEquals(planned.listeners, prior.listeners))
  return {
    healthCheck: healthCheck as PlannedBalancer['healthCheck'],
    forwardedFor,
    instanceCount,
    ...(isObject(config.stickySessions) && {
      stickySessions: planStickySessions(config.stickySessions) as PlannedBalancer['stickySessions'],
    }),
    ...(isScaled && { vips: unknown, instances: unknown }),
    ...((isScaled || isMoved) && { url: unknown }),
  }
}

/** What the API takes as it is here. */
const plainFields = [
  'name',
  'algorithm',
  'timeouts',
  'retries',
  'slowStartSeconds',
  'proxyProtocol',
  'limits',
  'logging',
  'forwardedFor',
  'instanceCount',
] as const

type Changeable = { readonly [Name in keyof Changes<typeof schema>]?: Changes<typeof schema>[Name] | undefined }

/** What an update may change, as the API wants it; what is not given is left as it is. */
function changeableBody(given: Changeable): object {
  const { listeners, members, healthCheck, stickySessions, autoScaling } = given
  return {
    ...pick(given, ...plainFields),
    ...(listeners !== undefined && { listeners: withoutNull(listeners) }),
    ...(members !== undefined && { members: members.map(memberBody) }),
    ...(healthCheck !== undefined && { healthCheck: healthCheckBody(healthCheck) }),
    ...(stickySessions !== undefined && { stickySessions: stickySessionsBody(stickySessions) }),
    ...(autoScaling !== undefined && { autoScaling: autoScalingBody(autoScaling) }),
  }
}

function describe(view: OwnBalancer, before: readonly GivenMember[] | undefined) {
  return {
    ...view,
    listeners: view.listeners.map(({ port, memberPort = null }) => ({ port, memberPort })),
    members: view.members.map((member) => describeGiven(member, view.listeners, before)),
    healthCheck: describeHealthCheck(view.healthCheck),
    stickySessions: describeStickySessions(view.stickySessions),
    autoScaling: view.autoScaling === false ? null : view.autoScaling,
  }
}

const health = {
  id: string({ computed: true, description: 'Its id.' }),
  ...memberFields,
  status: string({
    computed: true,
    description: 'How it is: `healthy`, `unhealthy`, `unresolved`, `draining`, `drained` or `unknown`.',
  }),
}

export const loadBalancerDataSources = createNounDataSources<LoadBalancer>({
  name: 'load_balancer',
  plural: 'load_balancers',
  words: 'load balancer',
  path,
  idPrefix: 'lb',
  isOfProject: true,
  view: loadBalancerSchema,
  description: 'A load balancer, with how its instances and members are.',
  fields: {
    ...attributes,
    ...momentaryFields,
    members: list(object(health), { computed: true, description: 'Where traffic goes, each with its health.' }),
    instances: list(
      object({
        ...instance.type.fields,
        status: string({ computed: true, description: 'In one word, how it is.' }),
        heldVips: list(string(), { computed: true, description: 'The VIPs that it serves at the moment.' }),
      }),
      { computed: true, description: 'What serves it.' },
    ),
  },
  filters: {
    networkId: string({
      optional: true,
      validators: [anId('net')],
      description: 'Only load balancers of this network.',
    }),
  },
  describe: (view) => ({
    ...view,
    healthCheck: describeHealthCheck(view.healthCheck),
    stickySessions: describeStickySessions(view.stickySessions),
    autoScaling: view.autoScaling === false ? null : view.autoScaling,
  }),
})
