/** `sluice microshard weights` and `reshard`: how many bits of the ring tell clients, types and hours apart. */

import { Command } from 'commander'
import * as v from 'valibot'
import { type KeyWeightsView, keyWeightsViewSchema } from '../../controller/contract/microshard.ts'
import type { Api } from '../api.ts'
import type { Options } from '../body-fields.ts'
import { jsonOption } from '../noun.ts'
import { json } from '../output.ts'

type Weights = NonNullable<KeyWeightsView['suggestion']>['weights']

const path = '/v1/microshards/weights'
const pollMilliseconds = 500

export const weightsVerb = (connect: () => Api) =>
  jsonOption(new Command('weights').description('the weights of keys, and which the measured load calls for')).action(
    async (options: Options) => print(options, await read(connect())),
  )

export const reshardVerb = (connect: () => Api) =>
  jsonOption(
    new Command('reshard').description('give keys other weights, one microshard after the other, while they are used'),
  )
    .requiredOption('--weights <bits>', 'client=24,type=16,time=8; or `suggested`')
    .option('--dry-run', 'change nothing, and tell what would move', false)
    .option('--wait', 'until all microshards have gone over to them', false)
    .action(async (options: Options) => {
      const api = connect()
      const weights = options.weights === 'suggested' ? await readSuggested(api) : parseWeights(String(options.weights))
      const body = { weights, dryRun: options.dryRun === true }
      let view = v.parse(keyWeightsViewSchema, await api.call({ method: 'POST', path, body }))
      while (options.wait === true && !view.isDryRun && view.status !== 'settled') {
        await Bun.sleep(pollMilliseconds)
        view = await read(api)
      }
      print(options, view)
    })

const read = async (api: Api) => v.parse(keyWeightsViewSchema, await api.call({ method: 'GET', path }))

async function readSuggested(api: Api): Promise<Weights> {
  const { suggestion } = await read(api)
  if (suggestion === null) throw new Error('nothing has been measured that weights could follow; name them')
  return suggestion.weights
}

/** @example parseWeights('client=24,type=16,time=8') */
export function parseWeights(text: string): Weights {
  const [, client, type, time] = /^client=(\d+),type=(\d+),time=(\d+)$/.exec(text) ?? []
  if (client === undefined) throw new Error(`'${text}' are no weights; give them as client=24,type=16,time=8`)
  return { clientBits: Number(client), dataTypeBits: Number(type), timeBits: Number(time) }
}

const describeBits = ({ clientBits, dataTypeBits, timeBits }: Weights) =>
  `client=${clientBits},type=${dataTypeBits},time=${timeBits}`

export function describeWeights(view: KeyWeightsView): string {
  const { remaining, suggestion } = view
  const left = `${remaining.microshards} of ${view.microshards} microshards to go, ${remaining.keysMoved} of ${remaining.keys} keys and ${remaining.objectsMoved} of ${remaining.objects} objects move`
  const calledFor = suggestion === null ? 'nothing measured' : describeBits(suggestion.weights)
  return [
    `weights ${view.version}: ${describeBits(view)}, ${view.isDryRun ? 'not begun' : view.status}`,
    view.status === 'settled' ? 'all microshards have them' : left,
    `the load calls for: ${calledFor}`,
  ].join('\n')
}

function print(options: Options, view: KeyWeightsView): void {
  console.log(options.json === true ? json(view) : describeWeights(view))
}
