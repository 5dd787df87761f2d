/**
 * Two tenants with the same names and the same addresses, as one typed object.
 *
 * @example
 * eval "$(bun sluice lab env | sed 's/^/export /')"; cdktf deploy --skip-provider-lock
 */

import { App, TerraformOutput, TerraformStack } from 'cdktf'
import { SluiceProvider, Topology } from 'sluice/constructs'

const app = new App()
const stack = new TerraformStack(app, 'topology')
new SluiceProvider(stack, 'sluice')

const front = { addressSpace: '10.20.0.0/24', services: { web: { machines: 1, instanceCount: 1 } } }
const rack = new Topology(stack, 'rack', {
  user: 'jane',
  projects: { shop: { networks: { front } }, blog: { networks: { front } } },
})

// A name that was not declared is an error of types.
const { shop, blog } = rack.projects
new TerraformOutput(stack, 'shop', { value: shop.networks.front.services.web.url, staticId: true })
new TerraformOutput(stack, 'blog', { value: blog.networks.front.services.web.url, staticId: true })
app.synth()
