/** `sluice microshard explain` and `policies`: why microshards are split, merged and moved, and by which policies. */

import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import * as v from 'valibot'
import {
  type Explanation,
  explanationSchema,
  microshardPoliciesSchema,
  type TakenDecision,
} from '../../controller/contract/microshard-policies.ts'
import type { Api } from '../api.ts'
import type { Options } from '../body-fields.ts'
import { jsonOption } from '../noun.ts'
import { indent, json } from '../output.ts'

type Connect = () => Api

const path = '/v1/microshard-policies'

export const explainVerb = (connect: Connect) =>
  jsonOption(
    new Command('explain').argument('[id]').description('what was decided about it, or about all, and why'),
  ).action(async (id: string | undefined, options: Options) => {
    const query = id === undefined ? {} : { microshard: id }
    const explanation = v.parse(
      explanationSchema,
      await connect().call({ method: 'GET', path: `${path}/explanation`, query }),
    )
    console.log(options.json === true ? json(explanation) : describeExplanation(explanation))
  })

export const policiesVerb = (connect: Connect) =>
  jsonOption(
    new Command('policies')
      .description('show the policies; or, with one of these options, change them')
      .option('--mode <mode>', 'off, dryRun or on')
      .option('--file <file>', 'all of them as JSON; what is left out is as by default; `-` reads the standard input'),
  ).action(async (options: Options) => {
    const api = connect()
    const kept = v.parse(microshardPoliciesSchema, await api.call({ method: 'GET', path }))
    const { file, mode } = options
    if (file === undefined && mode === undefined) {
      console.log(json(kept))
      return
    }
    const given = typeof file === 'string' ? readJson(file) : kept
    const body = { ...given, ...(mode === undefined ? {} : { mode }) }
    console.log(json(await api.call({ method: 'PUT', path, body })))
  })

function readJson(file: string): object {
  const text = readFileSync(file === '-' ? 0 : file, 'utf8')
  try {
    return v.parse(v.record(v.string(), v.unknown()), JSON.parse(text))
  } catch (cause) {
    throw new Error(`${file} is no JSON object of policies: see \`sluice microshard policies\``, { cause })
  }
}

/** Pure. */
export function describeExplanation(explanation: Explanation): string {
  const { mode, controller, at, policy, rules, churn, heldBack, decisions } = explanation
  const by = controller === null ? 'nobody has decided yet' : `decided by ${controller}, last at ${at}`
  return [
    `mode: ${mode}; ${by}`,
    `placed by policy: ${policy}`,
    ...rules.map(({ name, test, isMet, policy }) => `  ${isMet ? '●' : '○'} ${name}: ${test} → ${policy}`),
    `budget: ${churn.operations} of ${churn.operationsPerHour} operations and ${churn.bytes} of ${churn.bytesPerHour} bytes within the hour`,
    ...(heldBack.length === 0 ? [] : ['held back:']),
    ...heldBack.map(({ kind, microshards, reason, because }) =>
      indent(`${kind} ${microshards.join(' and ')}, for ${becauseWords[because] ?? because}: ${reason}`),
    ),
    decisions.length === 0 ? 'nothing was decided lately' : 'decided, the last first:',
    ...decisions.map((decision) => indent(describeDecision(decision))),
  ].join('\n')
}

const becauseWords: Readonly<Record<string, string>> = {
  churnOperations: 'the hour has had its operations',
  churnBytes: 'the hour has had its bytes',
  atOnce: 'others are under way',
}

function describeDecision(decision: TakenDecision): string {
  const { at, kind, microshards, toNode, reason, figures, isAhead, outcome, operationId, problem } = decision
  const what = [kind, microshards.join(' and '), toNode === null ? '' : `to ${toNode}`].filter((word) => word !== '')
  const came = outcome === 'begun' ? `begun as ${operationId}` : outcome === 'refused' ? `refused: ${problem}` : outcome
  const shown = Object.entries(figures).map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`)
  return [
    `${at} ${what.join(' ')}${isAhead ? ', ahead' : ''} (${came})`,
    indent(reason),
    ...(shown.length === 0 ? [] : [indent(shown.join(', '))]),
  ].join('\n')
}
