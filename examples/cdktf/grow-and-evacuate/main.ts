/**
 * A network whose shards have names. With another one in `SHARDS` it grows; with one taken away those who were in it move to
 * the others, and serve on.
 *
 * @example
 * eval "$(bun sluice lab env | sed 's/^/export /')"
 * for shards in old old,new new; do SHARDS=$shards cdktf deploy --skip-provider-lock; done
 */

import { App, TerraformOutput, TerraformStack } from 'cdktf'
import { BalancedService, PrivateNetwork, Project, SluiceProvider } from 'sluice/constructs'

const app = new App()
const stack = new TerraformStack(app, 'grow-and-evacuate')
new SluiceProvider(stack, 'sluice')

const names = (process.env.SHARDS ?? 'old').split(',')
const project = new Project(stack, 'project', { name: 'cdktf-grow', user: 'jane' })
const network = new PrivateNetwork(stack, 'front', {
  project,
  addressSpace: '10.20.0.0/20',
  shards: Object.fromEntries(names.map((name) => [name, { sizeAddresses: 64 }])),
  migration: { drainSeconds: 2 },
})
const web = new BalancedService(stack, 'web', { network, machines: 1, instanceCount: 1 })

new TerraformOutput(stack, 'vips', { value: web.vips, staticId: true })
app.synth()
