/** The agent's line to the controller, against the controller's own bus and with no more than an agent's rights. */

import { afterEach, expect, setDefaultTimeout, test } from 'bun:test'
import { createUser } from '@nats-io/nkeys'
import { type Bus, startBus } from '../../agent/bus.ts'
import type { HostReport } from '../../agent/contract/host-report.ts'
import { instructionsKey, reportKey } from '../../agent/contract/subjects.ts'
import { openTestBus, type TestBus, waitFor } from '../../controller/nats/test-bus.ts'

/** A server is started several times, on a machine that may be busy. */
setDefaultTimeout(120_000)
const waitSeconds = 30

const host = 'host-a'
const cleanups: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function openGround(): Promise<TestBus> {
  const ground = await openTestBus()
  cleanups.push(() => ground.close())
  return ground
}

interface Line {
  readonly agent: Bus
  readonly heard: string[]
}

async function startLine(ground: TestBus): Promise<Line> {
  const user = createUser()
  const userJwt = await ground.bus.issueAgentJwt({ host, publicKey: user.getPublicKey() })
  const heard: string[] = []
  const agent = startBus({
    host,
    servers: ground.bus.natsServers,
    credentials: {
      seed: new TextDecoder().decode(user.getSeed()),
      userJwt,
      caCertificate: ground.bus.caCertificate,
    },
    onInstructions: (text) => heard.push(text),
    log: () => undefined,
  })
  cleanups.push(() => agent.close())
  return { agent, heard }
}

const instruct = (ground: TestBus, text: string) => ground.bus.buckets.desired.put(instructionsKey(host), text)
const report = (sequence: number): HostReport => ({
  format: 1,
  host,
  generation: 1,
  agentVersion: '0',
  bootId: 'boot',
  sequence,
  startedAt: '2026-01-01T00:00:00Z',
  reportedAt: '2026-01-01T00:00:00Z',
  networks: [],
  machines: [],
  instances: [],
})
const reported = async (ground: TestBus) => (await ground.bus.buckets.status.get(reportKey(host)))?.json<HostReport>()

test('hears what is wanted now and what is wanted next, and tells what is so', async () => {
  const ground = await openGround()
  await instruct(ground, 'first')
  const { agent, heard } = await startLine(ground)
  await waitFor('the first statement', () => heard.includes('first'), waitSeconds)
  await instruct(ground, 'second')
  await waitFor('the second statement', () => heard.includes('second'), waitSeconds)
  agent.sendReport(report(1))
  await waitFor('the report', async () => (await reported(ground))?.sequence === 1, waitSeconds)
})

test('hears nothing of what other hosts must have', async () => {
  const ground = await openGround()
  const { heard } = await startLine(ground)
  await ground.bus.buckets.desired.put(instructionsKey('host-b'), 'for somebody else')
  await instruct(ground, 'mine')
  await waitFor('its own statement', () => heard.includes('mine'), waitSeconds)
  expect(heard).toEqual(['mine'])
})

test('starts while NATS is dead, and hears of it when it comes', async () => {
  const ground = await openGround()
  await instruct(ground, 'waiting')
  await ground.bus.close()
  const { agent, heard } = await startLine(ground)
  agent.sendReport(report(1))
  await ground.reopen()
  await waitFor('the statement', () => heard.includes('waiting'), waitSeconds)
  await waitFor(
    'a report',
    async () => {
      agent.sendReport(report(2))
      return (await reported(ground))?.sequence === 2
    },
    waitSeconds,
  )
})

test('goes on after NATS was away, with what was said meanwhile', async () => {
  const ground = await openGround()
  const { agent, heard } = await startLine(ground)
  await instruct(ground, 'before')
  await waitFor('the statement before', () => heard.includes('before'), waitSeconds)
  await ground.reopen()
  await instruct(ground, 'after')
  await waitFor('the statement after', () => heard.includes('after'), waitSeconds)
  await waitFor(
    'a report',
    async () => {
      agent.sendReport(report(3))
      return (await reported(ground))?.sequence === 3
    },
    waitSeconds,
  )
})
