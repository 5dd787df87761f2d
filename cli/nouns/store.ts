/** `sluice store`: how the control plane's data lies on the NATS servers, and its backup. */

import { createReadStream, createWriteStream, renameSync, rmSync } from 'node:fs'
import { finished } from 'node:stream/promises'
import { Command } from 'commander'
import * as v from 'valibot'
import {
  type BackupMessage,
  type BackupSummary,
  backupFormat,
  createBackupCheck,
  restoreAnswerSchema,
  restoreMessagesMaximum,
} from '../../controller/contract/backup.ts'
import { type StoreStatusView, storeStatusSchema } from '../../controller/contract/control-plane.ts'
import type { Api } from '../api.ts'
import type { Options } from '../body-fields.ts'
import { type Column, jsonOption, tableOf } from '../noun.ts'
import { json } from '../output.ts'

/** Well below what the controller takes in one request. */
const chunkCharactersMaximum = 400_000
const backupMode = 0o600

export function storeCommand(connect: () => Api): Command {
  return new Command('store')
    .description("the control plane's data on the NATS servers, and its backup")
    .addCommand(statusVerb(connect), { isDefault: true })
    .addCommand(backupVerb(connect))
    .addCommand(restoreVerb(connect))
}

function statusVerb(connect: () => Api): Command {
  return jsonOption(
    new Command('status').description('servers, and streams with their leaders and how far each copy is'),
  ).action(async (options: Options) => {
    const store = v.parse(storeStatusSchema, await connect().call({ method: 'GET', path: '/v1/store' }))
    console.log(options.json === true ? json(store) : describeStore(store))
  })
}

const nodeColumns: readonly Column<StoreStatusView['nodes'][number]>[] = [
  { heading: 'node', of: ({ name }) => name },
  { heading: 'status', of: ({ status }) => status },
  { heading: 'address', of: ({ address }) => address },
  { heading: 'version', of: ({ version }) => version },
  { heading: 'leads', of: ({ leads }) => String(leads) },
]
const streamColumns: readonly Column<StoreStatusView['streams'][number]>[] = [
  { heading: 'stream', of: ({ name }) => name },
  { heading: 'leader', of: ({ leader }) => leader ?? 'none' },
  { heading: 'messages', of: ({ messages }) => String(messages) },
  { heading: 'copies', of: ({ replicas }) => replicas.map(describeReplica).join(', ') || '-' },
]

const describeReplica = ({ node, status, lag }: StoreStatusView['streams'][number]['replicas'][number]): string =>
  status === 'current' ? node : `${node} ${status}${lag === 0 ? '' : ` by ${lag}`}`

export function describeStore(store: StoreStatusView): string {
  const copies = store.replicas === 1 ? 'one copy of each thing' : `${store.replicas} copies of each thing`
  const nodes = store.nodes.length === 0 ? 'no servers are known yet' : tableOf(nodeColumns, store.nodes)
  return `${store.mode}, ${store.status}, ${copies}\n\n${nodes}\n\n${tableOf(streamColumns, store.streams)}`
}

function backupVerb(connect: () => Api): Command {
  return new Command('backup')
    .description('save all that the store holds, with checksums')
    .argument('<file>', 'is replaced once the backup is whole')
    .action(async (file: string) => {
      const summary = await saveBackup(connect(), file)
      console.log(`${file}: ${describeSummary(summary)}`)
    })
}

/** Beside its final name until it is whole and checked, so that a broken one is never taken for a backup. */
async function saveBackup(api: Api, file: string): Promise<BackupSummary> {
  const unfinished = `${file}.unfinished`
  const request = { method: 'GET', path: '/v1/store/backup' } as const
  const response = await api.open(request, new AbortController().signal)
  const output = createWriteStream(unfinished, { mode: backupMode, flush: true })
  try {
    for await (const chunk of response.body ?? []) {
      if (!output.write(chunk)) await new Promise<void>((resolve) => output.once('drain', resolve))
    }
    output.end()
    await finished(output)
    const summary = await checkBackup(unfinished)
    renameSync(unfinished, file)
    return summary
  } catch (cause) {
    output.destroy()
    rmSync(unfinished, { force: true })
    throw new Error('the backup was cut off and is not kept; make it again', { cause })
  }
}

const describeSummary = ({ parts, messages, createdAt, sha256 }: BackupSummary) =>
  `${messages} versions in ${parts} parts, of ${createdAt}, SHA-256 ${sha256}`

/** By newlines alone: what else separates lines in a text may stand within one. */
async function* readLines(file: string): AsyncGenerator<string, void> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let rest = ''
  for await (const chunk of createReadStream(file)) {
    const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
  rest += decoder.decode()
  if (rest !== '') yield rest
}

async function checkBackup(file: string): Promise<BackupSummary> {
  const check = createBackupCheck()
  for await (const line of readLines(file)) check.take(line)
  return check.finish()
}

function restoreVerb(connect: () => Api): Command {
  return new Command('restore')
    .description('bring a backup into a store that holds nothing yet')
    .argument('<file>', 'checked as a whole before anything is restored')
    .option('--force', 'into a store that holds something: what is there in the same or a newer version stays', false)
    .option('--check', 'only check the file', false)
    .action(async (file: string, options: { readonly force: boolean; readonly check: boolean }) => {
      const summary = await checkBackup(file)
      console.log(`${file} is whole: ${describeSummary(summary)}`)
      if (options.check) return
      const { written, kept } = await sendBackup(connect(), file, options.force)
      console.log(`${written} versions restored${kept === 0 ? '' : `, ${kept} were there already`}`)
    })
}

async function sendBackup(api: Api, file: string, force: boolean): Promise<{ written: number; kept: number }> {
  const path = '/v1/store/restore'
  await api.call({ method: 'POST', path, body: { format: backupFormat, force } })
  const total = { written: 0, kept: 0 }
  let chunk: BackupMessage[] = []
  let characters = 0
  const send = async () => {
    if (chunk.length === 0) return
    const answer = await api.call({ method: 'POST', path: `${path}/messages`, body: { messages: chunk } })
    const { written, kept } = v.parse(restoreAnswerSchema, answer)
    total.written += written
    total.kept += kept
    chunk = []
    characters = 0
  }
  const check = createBackupCheck()
  for await (const text of readLines(file)) {
    const line = check.take(text)
    if (line.kind !== 'message') continue
    if (chunk.length >= restoreMessagesMaximum || characters + text.length > chunkCharactersMaximum) await send()
    chunk.push(line)
    characters += text.length
  }
  await send()
  return total
}
