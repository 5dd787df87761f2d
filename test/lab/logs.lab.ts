/**
 * What instances say and how much they have to do, as people see it: in a whole lab, through the agents, the bus, the
 * controller and the command line, over an agent's restart and an instance's replacement. Runs in a sandbox:
 *   scripts/sandbox bun test ./test/lab/logs.lab.ts
 */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import * as v from 'valibot'
import { type Cleanup, createCleanup } from '../../bench/system/cleanup.ts'
import { createBalancer, type System, showBalancer, startSystem } from '../../bench/system/system.ts'
import { awaitWhole } from '../../bench/system/world.ts'
import { type LogEntry, logEntrySchema } from '../../controller/contract/logs.ts'
import { killHostAgent, startHostAgent } from '../../lab/faults.ts'
import { openLab } from '../../lab/lab.ts'
import { waitUntil } from '../../lab/wait.ts'
import { createOutside, finish, type Outside, repository } from './lab-client.ts'
import { requireSandbox } from './machine-snapshot.ts'

setDefaultTimeout(120_000)

const patienceSeconds = 60
const cleanup: Cleanup = createCleanup((text) => process.stderr.write(`${text}\n`))
let system: System
let outside: Outside
let id: string
let vips: readonly string[]
const entries: LogEntry[] = []

beforeAll(async () => {
  requireSandbox()
  system = await startSystem(cleanup)
  const created = await createBalancer(system, 'shop', {
    instanceCount: 2,
    logging: { access: 'on' },
    timeouts: { drainSeconds: 2 },
  })
  id = created.id
  vips = created.vips
  await awaitWhole(system, id)
  outside = createOutside(system.settings)
  followLogs()
})

afterAll(async () => {
  await cleanup.run()
})

/** As `sluice lb logs --follow` prints them, from the first one on. */
function followLogs(): void {
  const argv = [
    process.execPath,
    `${repository}cli/main.ts`,
    'lb',
    'logs',
    'shop',
    '--follow',
    '--since',
    '1h',
    '--json',
  ]
  const child = Bun.spawn(argv, { env: outside.environment(), stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' })
  cleanup.defer('the follower', async () => child.kill('SIGKILL'))
  const read = async () => {
    let rest = ''
    const decoder = new TextDecoder()
    for await (const chunk of child.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      entries.push(...lines.map((line) => v.parse(logEntrySchema, JSON.parse(line))))
    }
  }
  void read()
}

const until = (what: string, condition: () => boolean | Promise<boolean>) =>
  waitUntil(async () => await condition(), {
    what: () => `${what}; the last entries are ${JSON.stringify(entries.slice(-5), null, 1)}`,
    timeoutSeconds: patienceSeconds,
    intervalMilliseconds: 50,
  })

/** So many requests to paths of their own, each of which must be answered. */
async function ask(prefix: string, count: number): Promise<void> {
  const url = `http://${vips[0]}/${prefix}-[1-${count}]`
  const { stdout } = await outside.on(
    'client',
    'curl',
    '--silent',
    '--max-time',
    '5',
    '-w',
    '%{http_code}\\n',
    '-o',
    '/dev/null',
    url,
  )
  expect(stdout.split('\n').filter((line) => line === '200').length).toBe(count)
}

const pathsOf = (prefix: string) =>
  entries.flatMap(({ request }) => (request?.path?.startsWith(`/${prefix}-`) === true ? [request.path] : []))
const pathsAsked = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `/${prefix}-${i + 1}`)

test('requests and the words of the daemons are followed as they come', async () => {
  await ask('plain', 20)
  await until('the requests to be told', () => pathsOf('plain').length === 20)
  expect(pathsOf('plain').toSorted()).toEqual(pathsAsked('plain', 20).toSorted())
  const { instances } = await showBalancer(system, id)
  const entry = entries.find(({ request }) => request?.path === '/plain-1')
  const instance = instances.find((each) => each.id === entry?.instanceId)
  expect(instance?.host).toBe(entry?.host ?? '')
  expect(entry?.request).toMatchObject({ method: 'GET', status: 200, host: vips[0], ending: '--' })
  expect(entry?.request?.clientAddress).toMatch(/\.0$/)
  await until('both daemons of both instances to be heard', () => {
    const heard = new Set(entries.map(({ kind, instanceId }) => `${kind} ${instanceId}`))
    return instances.every((each) => heard.has(`haproxy ${each.id}`) && heard.has(`keepalived ${each.id}`))
  })

  const shown = await outside.sluice(['lb', 'logs', 'shop', '--kind', 'access', '--limit', '5'])
  expect(shown.stdout.trim().split('\n').length).toBe(5)
  expect(shown.stdout).toContain(`200 GET ${vips[0]}/plain-20`)
  const missing = await outside.sluice(['lb', 'logs', 'shop', '--instance', 'lbi_0123456789abcdefghjkmnpqr'])
  expect([missing.exitCode, missing.stderr]).toEqual([1, expect.stringContaining('has no instance')])
})

test('an agent that is started again tells what was said meanwhile, each once', async () => {
  const held = entries.find(({ request }) => request?.path === '/plain-1')?.host ?? ''
  await killHostAgent(openLab(system.settings), held, { forGood: true })
  await ask('alone', 30)
  await startHostAgent(openLab(system.settings), held)
  await ask('again', 10)
  await until('all of it to be told', () => pathsOf('again').length >= 10 && pathsOf('alone').length >= 30)
  expect(pathsOf('alone').toSorted()).toEqual(pathsAsked('alone', 30).toSorted())
  expect(pathsOf('again').toSorted()).toEqual(pathsAsked('again', 10).toSorted())
  expect(entries.filter(({ dropped }) => dropped !== null)).toEqual([])
})

test('who follows goes on over the replacement of an instance', async () => {
  const before = (await awaitWhole(system, id)).instances
  const leaving = before.find(({ heldVips }) => heldVips.includes(vips[0] ?? ''))
  await outside.sluice(['host', 'update', leaving?.host ?? '', '--maintenance', 'true'])
  await until('another instance to have the VIP', async () => {
    const { instances } = await showBalancer(system, id)
    return instances.some(
      (each) =>
        each.id !== leaving?.id && !before.some((one) => one.id === each.id) && each.heldVips.includes(vips[0] ?? ''),
    )
  })
  await ask('replaced', 10)
  await until('the new one to be heard', () => pathsOf('replaced').length === 10)
  const by = new Set(
    entries.filter(({ request }) => request?.path?.startsWith('/replaced-')).map(({ instanceId }) => instanceId),
  )
  expect([...by].some((each) => !before.some((one) => one.id === each))).toBe(true)
  // What the one that has gone said is still there.
  const gone = await outside.sluice([
    'lb',
    'logs',
    'shop',
    '--instance',
    leaving?.id ?? '',
    '--kind',
    'access',
    '--json',
  ])
  expect(gone.stdout).toContain('/plain-')
  await outside.sluice(['host', 'update', leaving?.host ?? '', '--maintenance', 'false'])
})

/** The program on a terminal of 80 columns and 24 lines; `keys` are pressed once it has shown something. */
async function onTerminal(
  argv: readonly string[],
  keys: string,
  awaited: RegExp,
): Promise<{ text: string; exitCode: number }> {
  const command = ['stty cols 80 rows 24;', process.execPath, `${repository}cli/main.ts`, ...argv].join(' ')
  const child = Bun.spawn(['script', '--quiet', '--return', '--command', command, '/dev/null'], {
    env: { ...outside.environment(), TERM: 'xterm' },
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  cleanup.defer('a terminal', async () => child.kill('SIGKILL'))
  let text = ''
  const decoder = new TextDecoder()
  let isPressed = false
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true })
    if (isPressed || !awaited.test(text)) continue
    isPressed = true
    child.stdin.write(keys)
    await child.stdin.flush()
  }
  return { text, exitCode: await child.exited }
}

const lookSchema = v.object({ items: v.array(v.record(v.string(), v.unknown())) })

/** In a terminal and without one. */
async function lookAtTop(): Promise<void> {
  const isMeasured = async (noun: 'lb' | 'host', figure: string) => {
    const { stdout } = await outside.sluice([noun, 'top', '--once', '--json'])
    const { items } = v.parse(lookSchema, JSON.parse(stdout))
    return items.some((item) => typeof item[figure] === 'number')
  }
  await until('requests to be measured', () => isMeasured('lb', 'requestsPerSecond'))
  await until('a host to be measured', () => isMeasured('host', 'cpuPercent'))
  const once = (await outside.sluice(['lb', 'top', '--once'])).stdout
  expect(once.split('\n')[1]).toMatch(/^NAME +STATUS +REQ\/S▼ TREND +CONN +ERR\/S +LAT +UP INST +CPU$/)
  expect(once).toMatch(/^shop +\w+ +[\d.]+/m)
  const hosts = (await outside.sluice(['host', 'top'])).stdout
  expect(hosts).toMatch(/^host-\d +\w+ +[\d.]+%/m)
  expect([...once.split('\n'), ...hosts.split('\n')].every((line) => Bun.stringWidth(line) <= 80)).toBe(true)

  for (const [argv, keys] of [
    [['lb', 'top'], 'rsq'],
    [['host', 'top'], '\u0003'],
  ] as const) {
    const { text, exitCode } = await onTerminal(argv, keys, /q quit/)
    expect(exitCode).toBe(0)
    expect(text).toContain('\u001b[?1049h\u001b[?25l')
    expect(text.endsWith('\u001b[?25h\u001b[?1049l')).toBe(true)
  }
}

/** It leaves the balancer as it was. */
async function runExample(): Promise<void> {
  const asking = (async () => {
    for (let i = 0; i < 20; i++) {
      await ask('example', 2)
      await Bun.sleep(100)
    }
  })()
  const { exitCode, stdout, stderr } = await finish(
    ['examples/logs/who-is-served.sh', 'shop', '1'],
    repository,
    outside.environment(),
  )
  await asking
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  expect(stdout).toMatch(/^ +\d+ +200 +\d+ {2}\/example-[12]$/m)
  expect((await showBalancer(system, id)).logging).toEqual({ access: 'on', sample: '1/1', clientAddress: 'shortened' })
}

// At the same time, since what is measured takes its time.
test('top shows balancers and hosts and gives the terminal back; the example tells who is served', async () => {
  await Promise.all([lookAtTop(), runExample()])
})
