/** A controller's bus on three real NATS servers: who is let in, how a store moves there, and what is refused. */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect, jwtAuthenticator } from '@nats-io/transport-node'
import { instructionsKey, reportKey } from '../../../agent/contract/subjects.ts'
import { type BackupMessage, createBackupCheck } from '../../contract/backup.ts'
import { restoreMessages } from '../../control-plane/backup/restore-messages.ts'
import { type BackupSource, writeBackup } from '../../control-plane/backup/write-backup.ts'
import { openJetStreamStore } from '../../control-plane/jetstream-store.ts'
import type { StoredObject } from '../../control-plane/store.ts'
import { createShards, newClient, shardKind, writeShard } from '../../control-plane/store-contract.ts'
import { startTestNatsServer } from '../../control-plane/test-nats-server.ts'
import { type Bus, openBus } from '../bus.ts'
import { connectAgent, patientOptions, silentLogger, waitFor } from '../test-bus.ts'
import { openClusterBus } from './cluster-bus.ts'
import { findFaults, prepareCluster } from './prepare-cluster.ts'
import { runNode } from './run-node.ts'
import { startTestCluster, type TestCluster } from './test-cluster.ts'

setDefaultTimeout(120_000)
const waitSeconds = 60

let cluster: TestCluster
let bus: Bus

beforeAll(async () => {
  cluster = await startTestCluster()
  const { stateFolder, servers } = cluster
  bus = await openBus({ stateFolder, servers, listen: '', logger: silentLogger })
})

afterAll(async () => {
  await bus?.close()
  await cluster?.stop()
})

describe('a bus of three servers', () => {
  test('keeps everything on three, each tagged with its node', async () => {
    expect(bus.replicas).toBe(3)
    const servers = await bus.listServers()
    expect(servers.map(({ node, isJetStreamOn }) => [node, isJetStreamOn])).toEqual([
      ['node-1', true],
      ['node-2', true],
      ['node-3', true],
    ])
    const samples = await bus.measureServers()
    expect(samples.map(({ node }) => node).sort()).toEqual(['node-1', 'node-2', 'node-3'])
    for (const { memoryBytes, receivedBytes } of samples)
      expect(Math.min(memoryBytes, receivedBytes)).toBeGreaterThan(0)
    const manager = await jetstreamManager(bus.connection, { checkAPI: false })
    const { config, cluster: group } = await manager.streams.info('KV_desired')
    expect(config.num_replicas).toBe(3)
    expect(group?.replicas).toHaveLength(2)
  })

  test('brings an agent its instructions and the controller its report, and lets nobody in who is revoked', async () => {
    const agent = await connectAgent(bus, 'host-1')
    await bus.buckets.desired.put(instructionsKey('host-1'), 'words')
    const mirrored = async () => {
      const manager = await jetstreamManager(bus.hostsConnection, { checkAPI: false })
      return (await manager.streams.info('KV_desired')).state.messages
    }
    await waitFor('the instructions in the mirror', async () => (await mirrored()) === 1, waitSeconds)
    agent.connection.publish(`$KV.status.${reportKey('host-1')}`, 'well')
    await waitFor(
      'the report',
      async () => (await bus.buckets.status.get(reportKey('host-1')))?.string() === 'well',
      waitSeconds,
    )
    await bus.revokeUser(agent.publicKey)
    const again = () =>
      connect({ ...patientOptions(bus), authenticator: jwtAuthenticator(agent.token, agent.user.getSeed()) })
    await expect(again()).rejects.toThrow(/authorization/i)
    await agent.connection.close()
  })

  test('takes in the backup of a store that has run alone: all is there, can be written, and is told of by no event', async () => {
    const alone = await startTestNatsServer()
    const connection = await connect({ servers: alone.url })
    const logger = silentLogger
    const before = await openJetStreamStore({ connection, logger })
    const clientId = newClient()
    const [id = '', gone = ''] = await createShards(before, clientId, 40)
    await writeShard(before, id, 1, { cidr: 'changed', count: 7 }, { actionId: 'act-7' })
    await writeShard(before, gone, 1, null)
    const messages = await collectBackup({ connection, directory: before.directory.current })
    const history = await before.history(shardKind, id)
    await before.close()
    await connection.close()
    await alone.stop()

    const after = await openJetStreamStore({ connection: bus.connection, logger, replicas: 3 })
    const target = { connection: bus.connection, directory: after.directory.current }
    expect(await restoreMessages(target, messages)).toEqual({ written: messages.length, kept: 0 })
    expect(await restoreMessages(target, messages)).toEqual({ written: 0, kept: messages.length })
    await waitFor('all of them in memory', () => after.snapshot(shardKind, clientId).length === 39, waitSeconds)
    const read = await after.history(shardKind, id)
    expect(read.map(withoutRevision)).toEqual(history.map(withoutRevision))
    expect(await after.getOrTombstone(shardKind, gone, { latest: true })).toMatchObject({ version: 2, value: null })
    expect((await writeShard(after, id, 2, { cidr: 'again', count: 8 })).outcome).toBe('committed')
    expect((await writeShard(after, gone, 'absent', { cidr: 'new', count: 1 })).outcome).toBe('committed')
    const manager = await jetstreamManager(bus.connection, { checkAPI: false })
    const streams = await manager.streams.list('ms.>').next()
    expect(streams.map(({ config }) => config.num_replicas)).toEqual(streams.map(() => 3))
    await after.close()
  })
})

async function collectBackup(
  source: Pick<BackupSource, 'connection' | 'directory'>,
): Promise<readonly BackupMessage[]> {
  const check = createBackupCheck()
  const messages: BackupMessage[] = []
  const options = { ...source, sluiceVersion: '1.0.0', now: Date.now }
  for await (const text of writeBackup(options, new AbortController().signal)) {
    const line = check.take(text.trimEnd())
    if (line.kind === 'message') messages.push(line)
  }
  expect(check.finish().messages).toBe(messages.length)
  return messages
}

const withoutRevision = ({ revision: _, ...object }: StoredObject<unknown>) => object

describe('refused with what to do', () => {
  const open = (stateFolder: string, servers: readonly string[]) =>
    openClusterBus({ stateFolder, servers, logger: silentLogger, waitSeconds: 0 })

  test('a controller without the keys of the cluster', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-none-'))
    await expect(open(folder, cluster.servers)).rejects.toThrow('holds no keys of a cluster')
    await rm(folder, { recursive: true })
  })

  test('servers that are not there, each by its name', async () => {
    await expect(open(cluster.stateFolder, ['127.0.0.1:1', '127.0.0.1:2'])).rejects.toThrow(
      /tls:\/\/127.0.0.1:1: nothing listens there.*\n.*tls:\/\/127.0.0.1:2: nothing listens there/,
    )
  })

  test('a controller with the keys of another cluster, and one with the certificate of the right one', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-other-'))
    const other = { controllerFolder: join(folder, 'c'), nodesFolder: join(folder, 'n'), nodes: cluster.nodes }
    await prepareCluster({ ...other, now: Date.now() })
    await expect(open(other.controllerFolder, cluster.servers)).rejects.toThrow(
      "its certificate is not one of this bus's authority",
    )
    await cp(join(cluster.stateFolder, 'nats', 'ca.pem'), join(other.controllerFolder, 'nats', 'ca.pem'))
    await expect(open(other.controllerFolder, cluster.servers)).rejects.toThrow("it refuses this controller's keys")
    await rm(folder, { recursive: true })
  })

  test('a node without its papers', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-node-'))
    await expect(runNode({ folder, logger: silentLogger })).rejects.toThrow('papers.json is missing')
    await rm(folder, { recursive: true })
  })

  const node = (name: string, port: number) => ({
    name,
    listen: `10.0.0.1:${port}`,
    clusterListen: `10.0.0.1:${port + 1}`,
  })
  const plans = [
    ['an even number of servers', [node('a', 1), node('b', 3)], 'survives no more losses than one of 1'],
    ['a name for two', [node('a', 1), node('a', 3), node('b', 5)], 'the name a is given twice'],
    ['an address for two', [node('a', 1), node('b', 2), node('c', 5)], 'the address 10.0.0.1:2 is given twice'],
    ['a name that can be none', [node('A b', 1)], "'A b' can't name a node"],
  ] as const
  for (const [what, nodes, words] of plans) {
    test(what, () => expect(findFaults(nodes).join('\n')).toContain(words))
  }
})
