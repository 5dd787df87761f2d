/**
 * Weighs what the contexts say against each other, and learns how much each of them is to be believed: a softmax over
 * candidates, whose features are the logarithms of what each context gives them, by gradient steps with AdaGrad's rates.
 * Touches nothing but memory.
 */

/** What speaks for candidates: one feature a row, of the candidate that it is for, the weight it takes and its value. */
export interface Evidence {
  readonly candidates: number
  /** Rows; zeros are left out. */
  readonly rows: number
  readonly candidateOf: Int32Array
  readonly weightOf: Int32Array
  readonly values: Float64Array
}

export interface Mixer {
  /** The candidates' probabilities, which sum to 1. */
  weigh(evidence: Evidence): Float64Array
  /** What came was this candidate. */
  learn(evidence: Evidence, probabilities: Float64Array, actual: number): void
  save(): SavedMixer
}

export interface SavedMixer {
  readonly weights: readonly number[]
  /** Of all gradients so far, by which steps become smaller. */
  readonly squares: readonly number[]
}

const learningRate = 0.08
/** No odd hour makes one of them speak louder than all others. */
const weightMaximum = 6

export function createMixer(firstWeights: readonly number[], saved?: SavedMixer): Mixer {
  const weights = Float64Array.from(saved?.weights ?? firstWeights)
  const squares = Float64Array.from(saved?.squares ?? firstWeights.map(() => 1))
  const gradient = new Float64Array(weights.length)

  return {
    weigh({ candidates, rows, candidateOf, weightOf, values }) {
      const scores = new Float64Array(candidates)
      for (let row = 0; row < rows; row++) {
        const candidate = candidateOf[row] ?? 0
        scores[candidate] = (scores[candidate] ?? 0) + (weights[weightOf[row] ?? 0] ?? 0) * (values[row] ?? 0)
      }
      return softmax(scores)
    },

    learn({ rows, candidateOf, weightOf, values }, probabilities, actual) {
      gradient.fill(0)
      for (let row = 0; row < rows; row++) {
        const candidate = candidateOf[row] ?? 0
        const error = (candidate === actual ? 1 : 0) - (probabilities[candidate] ?? 0)
        const weight = weightOf[row] ?? 0
        gradient[weight] = (gradient[weight] ?? 0) + error * (values[row] ?? 0)
      }
      for (const [weight, step] of gradient.entries()) {
        if (step === 0) continue
        const square = (squares[weight] ?? 1) + step * step
        squares[weight] = square
        const next = (weights[weight] ?? 0) + (learningRate * step) / Math.sqrt(square)
        weights[weight] = Math.min(weightMaximum, Math.max(-weightMaximum, next))
      }
    },

    save: () => ({ weights: [...weights], squares: [...squares] }),
  }
}

/** In place. */
function softmax(scores: Float64Array): Float64Array {
  const greatest = scores.reduce((most, score) => Math.max(most, score), Number.NEGATIVE_INFINITY)
  let sum = 0
  for (const [i, score] of scores.entries()) {
    scores[i] = Math.exp(score - greatest)
    sum += scores[i] ?? 0
  }
  for (const [i, share] of scores.entries()) scores[i] = share / sum
  return scores
}
