/**
 * A web service in a few lines: a network with its address space, machines, a load balancer and a health check.
 *
 * @example
 * eval "$(bun sluice lab env | sed 's/^/export /')"; cdktf deploy --skip-provider-lock
 */

import { App, TerraformOutput, TerraformStack } from 'cdktf'
import { BalancedService, PrivateNetwork, Project, SluiceProvider } from 'sluice/constructs'

const app = new App()
const stack = new TerraformStack(app, 'web-service')
new SluiceProvider(stack, 'sluice')

const project = new Project(stack, 'project', { name: 'cdktf-web-service', user: 'jane' })
const network = new PrivateNetwork(stack, 'front', { project, addressSpace: '10.20.0.0/20' })
const web = new BalancedService(stack, 'web', { network, machines: Number(process.env.MACHINES ?? 2) })

new TerraformOutput(stack, 'url', { value: web.url, staticId: true })
new TerraformOutput(stack, 'vips', { value: web.vips, staticId: true })
app.synth()
