import { afterEach, beforeEach, describe, expect, setDefaultTimeout, spyOn, test } from 'bun:test'
import { createGround, type Ground } from '../test/api/api-ground.ts'
import { connectToController } from './api.ts'
import { createProgram } from './program.ts'

/** On a busy machine everything takes longer. */
setDefaultTimeout(60_000)

const columnsMaximum = 80

let ground: Ground
let server: ReturnType<typeof Bun.serve>
let printed: string
let restore: () => void
beforeEach(async () => {
  ground = await createGround()
  const { world, projectId, networkId, shardId } = ground
  await world.call('PATCH', `/v1/shards/${shardId}`, { name: 'old' })
  for (const name of ['web-1', 'web-2']) await world.create('/v1/machines', { name, projectId, networkId })
  await world.settle()
  server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: (request) => world.app.fetch(request) })
  printed = ''
  const log = spyOn(console, 'log').mockImplementation((text: string) => {
    printed += `${text}\n`
  })
  const write = spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text)
    return true
  })
  restore = () => {
    log.mockRestore()
    write.mockRestore()
  }
})
afterEach(async () => {
  restore()
  await server.stop(true)
})

/** What a command prints, which is never wider than a terminal; throws what it fails with. */
async function run(words: string): Promise<string> {
  const connect = () =>
    connectToController({ SLUICE_ADDR: `http://127.0.0.1:${server.port}`, SLUICE_TOKEN: ground.world.admin })
  printed = ''
  await createProgram(connect).parseAsync(words.split(' '), { from: 'user' })
  const text = printed.trimEnd()
  if (!words.endsWith('--json')) {
    expect(text.split('\n').filter((line) => line.length > columnsMaximum)).toEqual([])
  }
  return text
}
const runJson = async (words: string): Promise<Record<string, unknown>> => JSON.parse(await run(`${words} --json`))

async function pass(seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    ground.world.context.advance(1_001)
    await ground.world.settle()
  }
}

describe('address space by the command line', () => {
  test('is listed and shown', async () => {
    expect(await run('pool list')).toMatch(/^NAME +CIDR +CUT +ID\nall +198\.18\.16\.0\/20 +256\/4096 +pol_\w+$/)
    expect(await run('shard list')).toMatch(
      /^NAME +CIDR +STATUS +HELD +USED +ID\nold +198\.18\.16\.0\/24 +in-use +2 +1 % +shd_\w+$/,
    )
    expect(await run('shard list --status available')).toBe('no shard')
    expect(await run('shard show old')).toContain('resourceCount   2')
    expect(await run('network list')).toContain('web')
    expect(await run('network show web')).toContain(ground.shardId)
    expect(await run('address list --shard old')).toMatch(/198\.18\.16\.2 .*web-1.*\n198\.18\.16\.3 .*web-2/)
    expect(await run('address show 198.18.16.3')).toContain('machine web-2')
    expect(await run('address history 198.18.16.3')).toContain('machine web-2')
    expect(await run('pool space all')).toContain('198.18.16.0/24')
    expect(await run('migration list')).toBe('no migration')
    for (const noun of ['pool', 'shard', 'network', 'migration', 'address']) {
      expect(Array.isArray((await runJson(`${noun} list`)).items)).toBe(true)
    }
  })

  test('is cut, allocated, reserved, released and taken back', async () => {
    await run('shard create more --pool all --cidr 198.18.20.0/26')
    expect(await runJson('shard allocate more --network web')).toMatchObject({ status: 'in-use' })
    expect(await runJson('shard reserve more')).toMatchObject({ status: 'reserved' })
    expect(await runJson('shard release more')).toMatchObject({ status: 'in-use' })
    expect(await runJson('shard deallocate more --network web')).toMatchObject({ status: 'available', networkId: null })
    expect(await run('shard delete more')).toBe('shard more is deleted')
  })

  test('of IPv6 is counted by /64s and by how many addresses are held, and given by shard or by address', async () => {
    await run('pool create six --project rack --cidr FD00:20:0:0::/56')
    await run('shard create web-six --pool six --network web')
    await run('shard create last --pool six --cidr fd00:20:0:ff::/64')
    expect(await run('pool list')).toMatch(/six +fd00:20::\/56 +2\/256 \/64s +pol_/)
    expect(await run('address allocate --network web --holder printer --shard web-six --count 2')).toBe(
      'fd00:20::2\nfd00:20::3',
    )
    expect(await run('address allocate --network web --holder scanner --address FD00:20::00AB:0:0:1')).toBe(
      'fd00:20::ab:0:0:1',
    )
    expect(await run('shard list --pool six')).toMatch(/web-six +fd00:20::\/64 +in-use +3 +- +shd_/)
    const listed = (await run('address list --shard web-six')).split('\n').map((line) => line.split(' ')[0])
    expect(listed).toEqual(['ADDRESS', 'fd00:20::2', 'fd00:20::3', 'fd00:20::ab:0:0:1'])
    expect(await run('address show fd00:20:0:0:ab::1')).toContain('scanner')
    expect(await run('address history fd00:20:0:0:0:0:0:2')).toContain('printer')
    expect(await run('pool space six')).toContain('of which 3 addresses are held')
    await expect(run('shard migrate web-six')).rejects.toThrow(/is of IPv6[\s\S]*printer \(fd00:20::2\)/)
    await run('address release fd00:20::2 fd00:20::3 fd00:20:0:0:ab::1')
    expect(await runJson('shard deallocate web-six --network web')).toMatchObject({ status: 'available' })
    expect(await run('shard delete web-six')).toBe('shard web-six is deleted')
  })

  test('is migrated: planned, begun, followed, shown', async () => {
    await expect(run('shard plan old')).rejects.toThrow(/2 are missing[\s\S]*id: [\s\S]*remedy: .*shard create --pool/)
    await run('shard create new --pool all --size 64 --network web')
    expect((await run('shard plan old --drain-seconds 5')).split('\n')).toEqual([
      'HOLDER  KIND     FROM         TO           CONNECTIONS',
      'web-1   machine  198.18.16.2  198.18.17.2  kept',
      'web-2   machine  198.18.16.3  198.18.17.3  kept',
      '2 holders move in overlap mode, in at most 15 s',
    ])
    expect(await run('migration list')).toBe('no migration')

    const id = String((await runJson('shard migrate old --drain-seconds 5')).id)
    expect(await run('shard migrate old --drain-seconds 5')).toBe(
      `shard old  running  0 of 2 moved\nfollow it: sluice migration watch ${id}`,
    )
    await pass(1)
    expect(await run('migration show old')).toMatch(/web-1 +198\.18\.16\.2 +198\.18\.17\.2 +draining/)
    const watching = run('migration watch old')
    await pass(6)
    expect(await watching).toContain('shard old  done  2 of 2 moved')
    expect(await run('migration list --shard old')).toContain('2/2')
    expect(await run('shard list --status available')).toContain('old')
    expect(await run('address history 198.18.16.2')).toContain('web-1')
  })

  test('is migrated by a deallocation, which is cancelled, resumed and rolled back', async () => {
    await run('shard create new --pool all --size 64 --network web')
    const id = String((await runJson('shard deallocate old --network web')).id)
    expect(await run('migration cancel old')).toContain('shard old  cancelling')
    expect(await run(`migration resume ${id}`)).toContain('shard old  running')
    expect(await run('migration rollback old')).toContain('shard old  rolling-back')
    await pass(5)
    expect(await runJson('migration show old')).toMatchObject({ id, status: 'rolled-back', movesDone: 0 })
    await expect(run('migration resume old')).rejects.toThrow('start another migration of the shard')
  })

  test('is kept by policies, which can be tried first', async () => {
    expect(await run('network policy web')).toBe('no policy of its own')
    expect(await run('network policy web --grow-at 0.5 --dry-run')).toBe('it would do nothing now')
    await run('project policy rack --order spread')
    await run('network policy web --quarantine 60 --reserve 198.18.16.10-198.18.16.20 --pin 198.18.16.9=db')
    expect(await runJson('network policy web --migration-mode restart --maximum-shards 4')).toEqual({
      addressPolicy: {
        quarantineSeconds: 60,
        reservedRanges: [{ first: '198.18.16.10', last: '198.18.16.20' }],
        pinnedAddresses: [{ address: '198.18.16.9', machineName: 'db' }],
        migrationMode: 'restart',
        maximumShards: 4,
      },
      effectiveAddressPolicy: expect.objectContaining({ allocationOrder: 'spread', migrationMode: 'restart' }),
    })
    expect(await run('network policy web')).toContain("with what its project's says:")
    await expect(run('network policy web --reserve 198.18.16.20-198.18.16.10')).rejects.toThrow('reservedRanges[0]')
    await expect(run('network policy web --pin 198.18.16.9')).rejects.toThrow('names no machine')
    expect(await run('network policy web --reset --maximum-shards 2')).toContain('maximumShards  2')
    expect(await run('project policy rack --grow-at 0.5 --dry-run')).toContain('it would do nothing now')
  })
})
