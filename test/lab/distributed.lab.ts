/**
 * Three NATS servers and three controllers behind one address: the quick start works there, and both tell how they are.
 * What they survive is tried by test/faults/distributed.lab.ts. Runs in a sandbox:
 *   scripts/check lab test/lab/distributed.lab.ts
 */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import * as v from 'valibot'
import { pageSchema } from '../../controller/contract/common.ts'
import { controllerSchema } from '../../controller/contract/control-plane.ts'
import { loadBalancerSchema } from '../../controller/contract/load-balancer.ts'
import { bringLabUp, labSettings, silentProgress, takeLabDown } from '../../lab/lab.ts'
import { waitUntil } from '../../lab/wait.ts'
import { createOutside, finish, type Outside, repository } from './lab-client.ts'
import { requireSandbox } from './machine-snapshot.ts'

setDefaultTimeout(240_000)
const settings = labSettings({ name: 'dist', hosts: 2, nats: 3, controllers: 3 })
const waitSeconds = 60

let outside: Outside

beforeAll(async () => {
  requireSandbox()
  await bringLabUp(settings, silentProgress)
  outside = createOutside(settings)
})

afterAll(async () => {
  await takeLabDown(settings)
})

async function read<Schema extends v.GenericSchema>(schema: Schema, path: string): Promise<v.InferOutput<Schema>> {
  return v.parse(schema, (await outside.ask('GET', path)).body)
}

test('the quick start works', async () => {
  const declared = await finish([process.execPath, 'examples/quickstart/declare.ts'], repository, outside.environment())
  expect([declared.exitCode, declared.stderr]).toEqual([0, ''])
  const [balancer] = (await read(pageSchema(loadBalancerSchema), '/v1/load-balancers')).items
  expect(balancer?.members.map(({ status }) => status)).toEqual(['healthy', 'healthy', 'healthy'])
  for (const vip of balancer?.vips ?? []) {
    const answers = await outside.askMany(`http://${vip}/`, 10)
    expect(answers.filter((answer) => answer !== '')).toHaveLength(10)
  }
})

test('`sluice controller list` and `sluice store status` tell who is there and who leads what', async () => {
  await waitUntil(
    async () => {
      const { items } = await read(v.object({ items: v.array(controllerSchema) }), '/v1/controllers')
      return items.length === 3 && items.every(({ status, leads }) => status === 'present' && leads.length > 0)
    },
    { what: () => 'the work to be divided', timeoutSeconds: waitSeconds, intervalMilliseconds: 100 },
  )
  const controllers = await outside.sluice(['controller', 'list'])
  expect([controllers.exitCode, controllers.stderr]).toEqual([0, ''])
  for (const index of [1, 2, 3]) expect(controllers.stdout).toContain(`controller-${index}`)
  const store = await outside.sluice(['store', 'status'])
  expect([store.exitCode, store.stderr]).toEqual([0, ''])
  expect(store.stdout).toContain('3 copies of each thing')
  for (const index of [1, 2, 3]) expect(store.stdout).toContain(`node-${index}`)
})
