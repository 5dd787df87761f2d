/** `sluice stack`: states that Terraform and OpenTofu keep here, who holds them, and their versions. */

import { Command } from 'commander'
import * as v from 'valibot'
import { type Stack, stackSchema, stackVersionsSchema } from '../../controller/contract/stack.ts'
import type { Api, ApiRequest } from '../api.ts'
import type { Options } from '../body-fields.ts'
import { type Column, jsonOption, listAll, printObject, tableOf } from '../noun.ts'
import { json } from '../output.ts'
import { resolveId } from '../resolve.ts'

type Connect = () => Api

const columns: readonly Column<Stack>[] = [
  { heading: 'name', of: ({ name }) => name },
  { heading: 'project', of: ({ projectId }) => projectId ?? '-' },
  { heading: 'serial', of: ({ state }) => String(state?.serial ?? '-') },
  { heading: 'bytes', of: ({ state }) => String(state?.bytes ?? 0) },
  { heading: 'held by', of: ({ lock }) => (lock === null ? '-' : `${lock.who} since ${lock.takenAt.slice(0, 16)}`) },
  { heading: 'lock', of: ({ lock }) => lock?.id ?? '-' },
]

export function stackCommand(connect: Connect): Command {
  const command = new Command('stack').description('states of Terraform and OpenTofu that are kept here')
  const verbs = [listVerb, showVerb, pullVerb, versionsVerb, rollbackVerb, unlockVerb]
  for (const verb of verbs) command.addCommand(verb(connect))
  return command
}

/** Of one stack: `ask` calls what is below its path, of the project that was named. */
function stackVerb(name: string, description: string) {
  return jsonOption(new Command(name).description(description).argument('<stack>')).option(
    '--project <name|id>',
    "whose it is; the rack's when an admin leaves it out",
  )
}

async function ask(api: Api, stack: string, options: Options, request: Omit<ApiRequest, 'path'> & { path: string }) {
  const { project } = options
  const projectId = typeof project === 'string' ? await resolveId(api, 'project', project) : undefined
  const path = `/v1/stacks/${encodeURIComponent(stack)}${request.path}`
  return api.call({ ...request, path, query: { projectId, ...request.query } })
}

function listVerb(connect: Connect): Command {
  return jsonOption(new Command('list').alias('ls').description('all of them'))
    .option('--project <name|id>', 'whose they are')
    .action(async (options: Options) => {
      const api = connect()
      const { project } = options
      const projectId = typeof project === 'string' ? await resolveId(api, 'project', project) : undefined
      const items = await listAll(api, '/v1/stacks', stackSchema, { projectId })
      if (options.json === true) console.log(json({ items }))
      else console.log(items.length === 0 ? 'no stack' : tableOf(columns, items))
    })
}

const showVerb = (connect: Connect) =>
  stackVerb('show', 'one of them, and who holds it').action(async (stack: string, options: Options) => {
    printObject(options, await ask(connect(), stack, options, { method: 'GET', path: '' }))
  })

const pullVerb = (connect: Connect) =>
  stackVerb('pull', 'its state, as it was written; an earlier one by --version')
    .option('--version <version>', 'one of `sluice stack versions`')
    .action(async (stack: string, options: Options) => {
      const path = options.version === undefined ? '/state' : `/versions/${options.version}`
      const state = await ask(connect(), stack, options, { method: 'GET', path })
      if (state === undefined) throw new Error(`the stack ${stack} has no state`)
      console.log(json(state))
    })

const versionsVerb = (connect: Connect) =>
  stackVerb('versions', 'the versions of its state that are kept').action(async (stack: string, options: Options) => {
    const answer = await ask(connect(), stack, options, { method: 'GET', path: '/versions' })
    const { items } = v.parse(stackVersionsSchema, answer)
    const shown: readonly Column<(typeof items)[number]>[] = [
      { heading: 'version', of: ({ version }) => String(version) },
      { heading: 'serial', of: ({ serial }) => String(serial ?? '-') },
      { heading: 'bytes', of: ({ bytes }) => String(bytes) },
      { heading: 'written', of: ({ writtenAt }) => writtenAt.slice(0, 19) },
      { heading: 'by', of: ({ writtenBy }) => writtenBy },
    ]
    console.log(options.json === true ? json(answer) : tableOf(shown, items))
  })

const rollbackVerb = (connect: Connect) =>
  stackVerb('rollback', 'write an earlier version of its state again; plan afterwards')
    .argument('<version>', 'one of `sluice stack versions`')
    .action(async (stack: string, version: string, options: Options) => {
      const body = { version: Number(version) }
      await ask(connect(), stack, options, { method: 'POST', path: '/rollback', body })
      console.log(`the state of ${stack} is again what it was in version ${version}`)
    })

const unlockVerb = (connect: Connect) =>
  stackVerb('unlock', 'break a lock whose holder is gone')
    .argument('<lock>', 'its id, as `sluice stack show` has it')
    .action(async (stack: string, id: string, options: Options) => {
      await ask(connect(), stack, options, { method: 'DELETE', path: '/lock', query: { id } })
      console.log(`the lock ${id} of ${stack} is broken`)
    })
