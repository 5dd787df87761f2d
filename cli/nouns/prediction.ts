/** `sluice prediction`: what a user will probably do next, and which reads the controller keeps in memory for it. */

import { Command } from 'commander'
import * as v from 'valibot'
import {
  actionProbabilitiesSchema,
  type cachedReadSchema,
  type PrefetchExplanation,
  type PrefetchView,
  prefetchExplanationSchema,
  prefetchSchema,
} from '../../controller/contract/prefetch.ts'
import type { Api } from '../api.ts'
import type { Options } from '../body-fields.ts'
import { type Column, jsonOption, tableOf } from '../noun.ts'
import { json } from '../output.ts'

type Connect = () => Api
type Entry = v.InferOutput<typeof cachedReadSchema>

const prefetchPath = '/v1/prediction/prefetch'

export function predictionCommand(connect: Connect): Command {
  const prefetch = new Command('prefetch').description('reads that are kept in memory and made ahead')
  for (const verb of [showVerb, explainVerb, onVerb, offVerb]) prefetch.addCommand(verb(connect))
  return new Command('prediction')
    .description('what users will probably do next')
    .addCommand(nextVerb(connect))
    .addCommand(prefetch)
}

const nextVerb = (connect: Connect) =>
  jsonOption(
    new Command('next')
      .argument('<user>', "a token's id")
      .argument('[actions...]', 'what the user has done last, oldest first; else what the controller has seen')
      .description('what a user will do next, the likeliest first'),
  ).action(async (userAccountId: string, actions: readonly string[], options: Options) => {
    const at = new Date().toISOString()
    const recentActions = actions.map((actionType) => ({ actionType, at }))
    const body = { userAccountId, ...(actions.length === 0 ? {} : { recentActions }) }
    const answer = await connect().call({ method: 'POST', path: '/v1/prediction/next-action', body })
    const next = v.parse(actionProbabilitiesSchema, answer)
    console.log(options.json === true ? json(next) : tableOf(nextColumns, next))
  })

const nextColumns: readonly Column<{ readonly actionType: string; readonly probability: number }>[] = [
  { heading: 'action', of: ({ actionType }) => actionType },
  { heading: 'probability', of: ({ probability }) => inPercent(probability) },
]

const showVerb = (connect: Connect) =>
  jsonOption(new Command('show').description('what this controller keeps, and what it was good for')).action(
    async (options: Options) => {
      const view = v.parse(prefetchSchema, await connect().call({ method: 'GET', path: prefetchPath }))
      console.log(options.json === true ? json(view) : describePrefetch(view))
    },
  )

const explainVerb = (connect: Connect) =>
  jsonOption(
    new Command('explain')
      .argument('<user>', "a token's id")
      .description('what would be read ahead for a user, and why'),
  ).action(async (userAccountId: string, options: Options) => {
    const query = { userAccountId }
    const answer = await connect().call({ method: 'GET', path: `${prefetchPath}/explain`, query })
    const explained = v.parse(prefetchExplanationSchema, answer)
    console.log(options.json === true ? json(explained) : tableOf(candidateColumns, explained.candidates))
  })

const readColumns: readonly Column<Pick<Entry, 'actionType' | 'parameters' | 'query'>>[] = [
  { heading: 'read', of: ({ actionType }) => actionType },
  { heading: 'of', of: ({ parameters }) => Object.values(parameters).join(' ') || '-' },
  {
    heading: 'asked',
    of: ({ query }) =>
      Object.entries(query)
        .map(([name, value]) => `${name}=${value}`)
        .join(' ') || '-',
  },
]

const candidateColumns: readonly Column<PrefetchExplanation['candidates'][number]>[] = [
  ...readColumns,
  { heading: 'probability', of: ({ probability }) => inPercent(probability) },
  { heading: 'worth', of: ({ valueMilliseconds }) => inMilliseconds(valueMilliseconds) },
  { heading: 'decision', of: ({ decision }) => decision },
]

const onVerb = (connect: Connect) => switchVerb(connect, 'on', true)
const offVerb = (connect: Connect) => switchVerb(connect, 'off', false)

const switchVerb = (connect: Connect, word: string, isOn: boolean) =>
  jsonOption(
    new Command(word)
      .description(`switch it ${word} for all controllers`)
      .option('--log', 'the log of what users do, in place of keeping and reading ahead'),
  ).action(async (options: Options) => {
    const body = options.log === true ? { logsActions: isOn } : { isOn }
    const view = v.parse(prefetchSchema, await connect().call({ method: 'PATCH', path: prefetchPath, body }))
    console.log(options.json === true ? json(view) : describeSwitches(view))
  })

const describeSwitches = ({ isOn, logsActions, isAllowedHere }: PrefetchView): string => {
  const here = isAllowedHere ? '' : ' (this controller was started with it off)'
  return `keeping reads and reading ahead: ${isOn ? 'on' : 'off'}${here}; the log of actions: ${logsActions ? 'on' : 'off'}`
}

export function describePrefetch(view: PrefetchView): string {
  const { reads, model, bytes, bytesMaximum, entries } = view
  const missed = Object.values(reads.misses).reduce((sum, count) => sum + count, 0)
  return [
    describeSwitches(view),
    `out of memory: ${reads.prefetchedHits} that were read ahead, ${reads.hits} others; read anew: ${missed}`,
    `read ahead: ${reads.prefetched}, of which ${reads.prefetchedServed} were asked for and ${reads.prefetchedInVain} were in vain`,
    `waiting saved: ${inMilliseconds(reads.savedMilliseconds)}; spent on reading ahead: ${inMilliseconds(reads.prefetchMilliseconds)}`,
    `memory: ${bytes} of ${bytesMaximum} bytes; learned: ${model.users} users, ${model.actionTypes} actions`,
    ...(entries.length === 0 ? [] : ['', tableOf(entryColumns, entries)]),
  ].join('\n')
}

const entryColumns: readonly Column<Entry>[] = [
  ...readColumns,
  { heading: 'version', of: ({ version }) => String(version) },
  { heading: 'age', of: ({ ageSeconds }) => `${ageSeconds.toFixed(1)} s` },
  { heading: 'served', of: ({ timesServed }) => String(timesServed) },
  { heading: 'because', of: (entry) => describeReason(entry) },
]

const describeReason = ({ reason, probability }: Entry): string =>
  reason === 'missed' ? 'it was read' : `it was ${inPercent(probability ?? 0)} likely`

const inPercent = (share: number) => `${(100 * share).toFixed(1)} %`
const inMilliseconds = (milliseconds: number) => `${milliseconds.toFixed(1)} ms`
