/**
 * What was made by hand, taken over as it is: each object is imported by its id, which `sluice … list` shows. Once they are
 * the stack's own, the ids are not needed any more.
 *
 * @example
 * eval "$(bun sluice lab env | sed 's/^/export /')"
 * PROJECT=prj_… POOL=pol_… SHARD=shd_… NETWORK=net_… MACHINE=mch_… LOAD_BALANCER=lb_… cdktf deploy --skip-provider-lock
 */

import { App, type TerraformResource, TerraformStack } from 'cdktf'
import {
  LoadBalancer,
  Machine,
  Network,
  Pool,
  Project,
  Shard,
  ShardAttachment,
  SluiceProvider,
} from 'sluice/constructs'

const app = new App()
const stack = new TerraformStack(app, 'adopt')
new SluiceProvider(stack, 'sluice')

function adopt<Resource extends TerraformResource>(resource: Resource, variable: string): Resource {
  const id = process.env[variable]
  if (id !== undefined) resource.importFrom(id)
  return resource
}

const project = adopt(new Project(stack, 'project', { name: 'adopted', user: 'jane' }), 'PROJECT')
const of = { projectId: project.id }
const pool = adopt(new Pool(stack, 'pool', { ...of, name: 'shop', cidr: '10.20.0.0/24' }), 'POOL')
const shard = adopt(new Shard(stack, 'shard', { name: 'front', poolId: pool.id, cidr: '10.20.0.0/24' }), 'SHARD')
const network = adopt(new Network(stack, 'network', { ...of, name: 'front' }), 'NETWORK')
// There is one attachment of a shard at most, and it has the shard's id.
const attachment = adopt(
  new ShardAttachment(stack, 'attachment', { networkId: network.id, shardId: shard.id }),
  'SHARD',
)
const on = { ...of, networkId: attachment.networkId }
const workloads = [{ kind: 'web', port: 80 }] as const
const machine = adopt(new Machine(stack, 'machine', { ...on, name: 'web', workloads }), 'MACHINE')
adopt(
  new LoadBalancer(stack, 'balancer', {
    ...on,
    name: 'web',
    trafficType: 'http',
    listeners: [{ port: 80 }],
    members: [{ machineId: machine.id }],
    timeouts: { drainSeconds: Number(process.env.DRAIN_SECONDS ?? 30) },
  }),
  'LOAD_BALANCER',
)
app.synth()
