/** `sluice doctor` on machines that have something wrong with them. Each in the sandbox's own network. */

import { afterEach, beforeAll, expect, test } from 'bun:test'
import { rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { commandRunner } from '../../lab/commands.ts'
import { examineMachine, type Finding } from '../../lab/doctor.ts'
import { apiPort } from '../../lab/lab.ts'
import { requireSandbox, snapshotMachine } from './machine-snapshot.ts'

beforeAll(requireSandbox)
const run = commandRunner('doctortest')
const examine = () => examineMachine(run, { isLabRunning: false })
const find = (findings: readonly Finding[], name: string) => findings.find((one) => one.name === name)

afterEach(async () => {
  await run(['nft', 'flush', 'ruleset'])
  await run(['sysctl', '-q', '-w', 'net.bridge.bridge-nf-call-iptables=1'])
})

test('a machine that tests run on has all that is needed, and is left as it was', async () => {
  const before = snapshotMachine()
  const findings = await examine()
  expect(findings.filter(({ status }) => status === 'fail')).toEqual([])
  expect(findings.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['bridge', 'vxlan', 'macvlan', 'overlay', 'nats-server', 'haproxy', 'keepalived', 'clock']),
  )
  expect(snapshotMachine()).toEqual(before)
})

test('a FORWARD chain that drops is found while br_netfilter asks it, with the remedy', async () => {
  await run([
    'nft',
    'add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }',
  ])
  const found = find(await examine(), 'bridged traffic')
  expect(found?.status).toBe('warn')
  expect(found?.detail).toContain('nft chain ip filter FORWARD')
  expect(found?.remedy).toContain('sysctl -w net.bridge.bridge-nf-call-iptables=0')
  await run(['sysctl', '-q', '-w', 'net.bridge.bridge-nf-call-iptables=0'])
  expect(find(await examine(), 'bridged traffic')?.status).toBe('ok')
})

test('a port that is taken is found', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(apiPort, '127.0.0.1', () => resolve()))
  const found = find(await examine(), `port ${apiPort}`)
  expect(found).toMatchObject({ status: 'fail', detail: 'taken' })
  await new Promise((resolve) => server.close(resolve))
  expect(find(await examine(), `port ${apiPort}`)?.status).toBe('ok')
})

test('a nats-server that is too old is found', async () => {
  const folder = '/run/old-nats'
  await Bun.$`mkdir -p ${folder} && printf '#!/bin/sh\necho nats-server: v2.9.10\n' > ${folder}/nats-server && chmod +x ${folder}/nats-server`.quiet()
  const path = process.env.PATH
  process.env.PATH = `${folder}:${path}`
  try {
    expect(find(await examine(), 'nats-server')).toMatchObject({
      status: 'fail',
      detail: `${folder}/nats-server is 2.9.10, too old`,
    })
  } finally {
    process.env.PATH = path
    rmSync(folder, { recursive: true })
  }
})
