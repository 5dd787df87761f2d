/**
 * Two groups of machines behind one load balancer. `GREEN_PERCENT` of the requests go to green.
 *
 * @example
 * eval "$(bun sluice lab env | sed 's/^/export /')"; GREEN_PERCENT=10 cdktf deploy --skip-provider-lock
 */

import { App, TerraformOutput, TerraformStack } from 'cdktf'
import { BlueGreenService, PrivateNetwork, Project, SluiceProvider } from 'sluice/constructs'

const app = new App()
const stack = new TerraformStack(app, 'blue-green')
new SluiceProvider(stack, 'sluice')

const project = new Project(stack, 'project', { name: 'cdktf-blue-green', user: 'jane' })
const network = new PrivateNetwork(stack, 'front', { project, addressSpace: '10.20.0.0/24' })
const shop = new BlueGreenService(stack, 'shop', {
  network,
  blue: { machines: 1 },
  green: { machines: 1 },
  greenPercent: Number(process.env.GREEN_PERCENT ?? 0),
})

new TerraformOutput(stack, 'vips', { value: shop.vips, staticId: true })
app.synth()
