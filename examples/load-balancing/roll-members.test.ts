import { afterEach, beforeEach, expect, setDefaultTimeout, test } from 'bun:test'
import { createGround, type Ground } from '../../test/api/api-ground.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

let ground: Ground
let server: ReturnType<typeof Bun.serve>
let loadBalancerId: string

beforeEach(async () => {
  ground = await createGround()
  const { world, projectId, networkId } = ground
  const { id } = await world.create('/v1/load-balancers', {
    name: 'web',
    projectId,
    networkId,
    trafficType: 'http',
    listeners: [{ port: 80 }],
    members: [{ address: '198.18.16.11' }, { address: '198.18.16.12' }],
  })
  loadBalancerId = String(id)
  await world.settle()
  server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: (request) => world.app.fetch(request) })
})
afterEach(async () => {
  await server.stop(true)
})

/** Lets time pass for the controller and its hosts until the example has ended. */
async function runExample(...command: readonly string[]) {
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/roll-members.ts`, loadBalancerId, ...command], {
    env: { ...process.env, SLUICE_ADDR: `http://127.0.0.1:${server.port}`, SLUICE_TOKEN: ground.world.admin },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  let hasEnded = false
  void child.exited.then(() => {
    hasEnded = true
  })
  while (!hasEnded) {
    ground.world.context.advance(1_001)
    await ground.world.settle()
    await Promise.race([child.exited, Bun.sleep(20)])
  }
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { exitCode: await child.exited, stdout, stderr }
}

const membersNow = async () => {
  const { body } = await ground.world.call('GET', `/v1/load-balancers/${loadBalancerId}/members`)
  return body.items as unknown
}

test('each member is drained, renewed and taken in again before the next one', async () => {
  const { exitCode, stdout, stderr } = await runExample('echo', 'renewing')
  expect(stderr).toBe('')
  expect(stdout.trimEnd().split('\n')).toEqual([
    '198.18.16.11 is drained',
    'renewing 198.18.16.11',
    '198.18.16.11 serves again',
    '198.18.16.12 is drained',
    'renewing 198.18.16.12',
    '198.18.16.12 serves again',
  ])
  expect(exitCode).toBe(0)
  expect(await membersNow()).toMatchObject([
    { status: 'healthy', draining: false },
    { status: 'healthy', draining: false },
  ])
})

test('one that can not be renewed stays out, and the others are left alone', async () => {
  const { exitCode, stderr } = await runExample('false')
  expect(exitCode).toBe(1)
  expect(stderr).toContain('false 198.18.16.11 ended with 1')
  expect(await membersNow()).toMatchObject([{ status: 'drained' }, { status: 'healthy' }])
})
