import { afterEach, beforeEach, expect, setDefaultTimeout, test } from 'bun:test'
import { createGround, type Ground } from '../../test/api/api-ground.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

let ground: Ground
let server: ReturnType<typeof Bun.serve>
beforeEach(async () => {
  ground = await createGround()
  const { world, projectId, networkId } = ground
  for (const name of ['web-1', 'web-2']) await world.create('/v1/machines', { name, projectId, networkId })
  await world.settle()
  server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: (request) => world.app.fetch(request) })
})
afterEach(async () => {
  await server.stop(true)
})

/** Lets time pass for the controller and its hosts until the example has ended. */
async function runExample(...argv: readonly string[]) {
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/free-shard.ts`, ...argv], {
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

test('a shard is freed, after room was made for its holders', async () => {
  const { exitCode, stdout } = await runExample(ground.shardId, 'restart')
  expect(
    stdout
      .replace(/mig_\w+/, 'mig_…')
      .trimEnd()
      .split('\n'),
  ).toEqual([
    'no room for 2 holders: another shard of 16 addresses is made',
    '2 move, in at most 40 s',
    '  web-1  198.18.16.2 → 198.18.17.2  (its connections break)',
    '  web-2  198.18.16.3 → 198.18.17.3  (its connections break)',
    'mig_… is done: 2 of 2 moved',
  ])
  expect(exitCode).toBe(0)
  const { body } = await ground.world.call('GET', `/v1/shards/${ground.shardId}`)
  expect(body).toMatchObject({ status: 'available', resourceCount: 0 } as object)
})

test('one that is not there is not freed', async () => {
  const { exitCode, stderr } = await runExample(`shd_${'0'.repeat(25)}`)
  expect(exitCode).toBe(1)
  expect(stderr).toContain('answered 404')
})
